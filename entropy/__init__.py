"""Symbols to bytes and back: an interleaved range coder over fixed integer tables.

    tables = Tables(frequencies, lows, sizes)
    encoder = Encoder(tables); encoder.put(symbols, indices); data = encoder.finish()
    decoder = Decoder(tables, data); symbols = decoder.get(indices); decoder.finish()

Same bytes on every machine. The format is at the top of `kernels/coder.hpp`, and in plain Python in `reference.py`.
"""

from __future__ import annotations

from .coder import CorruptStream, Decoder, Encoder, cpu_path, cpu_paths, crc32c
from .tables import PRECISION, Tables, fit_table, quantize_pmf

__all__ = [
    "PRECISION",
    "CorruptStream",
    "Decoder",
    "Encoder",
    "Tables",
    "cpu_path",
    "cpu_paths",
    "crc32c",
    "fit_table",
    "quantize_pmf",
]

"""Wavelet packet, layout of the bands, steps and gains, the lifted (integer) transform."""

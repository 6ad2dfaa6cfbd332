"""The page and tables of `tessera evaluate extreme`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tessera.tools import options
from tessera.tools.measuring import metrics
from tessera.tools.peers.peer import Peer
from tessera.tools.report import parts
from tessera.tools.studies.extreme.rows import (
    KINDS,
    MOSAICS,
    PICTURES,
    SINGLES,
    ExtremeMean,
    ExtremeOutcome,
    ExtremeResult,
    RestorationMean,
    Sources,
    UsageRow,
)
from tessera.tools.studies.extreme.settings import ExtremeSettings

_METHOD = (
    "Rate: bytes of the whole file over the pixels. At a target each file is the one nearest to the target's size that "
    "the codec can make, found by encoding; where its smallest file is more than 1.15 times as large it shows that "
    "one, and the table says so. No picture is scaled down before coding. PSNR: RGB, 8 bits, mean of the files'. "
    "MS-SSIM: pytorch-msssim on RGB, in dB -10 log10(1 - mean). Feature distance: squared distance of the outputs of "
    "the classifier's residual blocks (four depths before pooling, of pictures of 96x96), each scaled to length 1 over "
    "its channels, mean over places and depths, 0 for equal pictures; the classifier is that of `tessera evaluate "
    "machine`, trained on clean training pictures of the labelled set. It takes other pictures as tiles of the "
    "labelled pictures' size, cut side by side out of the middle. Mosaics: test pictures in a fixed shuffle, ten per "
    "row and four rows, coded as one file and cut apart again, so that a file's header counts little; MS-SSIM and "
    "PSNR are the mosaic's. Singles: every test picture is a file of its own; all have the setting whose mean size is "
    "nearest."
)
_MEAN_HEAD = ("codec", "setting", "bytes per file", "bpp", "MS-SSIM", "MS-SSIM dB", "PSNR", "LPIPS", "feature distance",
              "accuracy", "target")  # fmt: skip
_LOST_HEAD = ("lost", "filled by", "PSNR", "MS-SSIM", "MS-SSIM dB")
_USAGE_HEAD = ("last stage", "stage", "cells", "log2 K", "bits coded", "gain of the prior", "words used", "perplexity",
               "used, nearest word", "running use", "payload bytes", "file bytes")  # fmt: skip
_TITLES = {PICTURES: "Pictures", MOSAICS: "Mosaics of labelled pictures", SINGLES: "Labelled pictures, a file each"}


def render(
    settings: ExtremeSettings,
    sources: Sources,
    outcome: ExtremeOutcome,
    peers: Sequence[Peer[Any, Any]],
    result: ExtremeResult,
    drawn: Sequence[tuple[Path, str]],
    sheet: Path,
    command: str,
) -> str:
    """The whole page; `drawn` are plots with what they show, `sheet` is the contact sheet."""
    rates = " and ".join(f"{target:g}" for target in settings.targets)
    title = f"Pictures at {rates} bits per pixel"
    lead = (
        f"{options.count(len(sources.pictures), 'picture')}, and {options.count(outcome.pictures, 'test picture')} of "
        f"{sources.labelled.name}; accuracy on clean pixels {outcome.clean:.1%}. "
        f"Codecs: {', '.join(peer.name for peer in peers)}."
    )
    links = [(kind, _TITLES[kind]) for kind in KINDS]
    links += [("plots", "Curves"), ("crops", "Crops"), ("lost", "Lost indices"), ("usage", "Codebooks")]
    body = [parts.head(title, lead, [*links, ("times", "Decoding"), ("how", "Commands")], result.notes)]
    for kind in KINDS:
        body.append(f"<h2 id={kind}>{_TITLES[kind]}</h2>")
        body += [f"<p class=note>Target: {target:g} bpp.</p>{parts.table(*mean_table(result, kind, target))}"
                 for target in settings.targets]  # fmt: skip
    times = [(name, f"{value:.1f}") for name, value in result.decode_ms.items()]
    body += [
        "<h2 id=plots>Curves</h2><div class=plots>",
        *(parts.image(file, text) for file, text in drawn),
        f"</div><h2 id=crops>Crops at {settings.targets[0]:g} bpp</h2>",
        f"<div class=plots>{parts.image(sheet, 'crops of pictures')}</div>",
        "<h2 id=lost>Lost indices of vqgan, filled in</h2>",
        f"<p class=note>A share of the indices of every stage, drawn by seed, is lost; {lost_rate(result)}</p>",
        parts.table(*lost_table(result)),
        "<h2 id=usage>Codebooks and prior of vqgan</h2>",
        "<p class=note>All pictures, at the qualities where a stage is the last one and coded in full. Words used: "
        "chosen against their bits, as the encoder does; beside it with the nearest word. Gain of the prior: bits "
        "saved of log2 K. Running use: share of words that training did not leave dead, by the weights file.</p>",
        parts.table(*usage_table(result)),
        f"<h2 id=times>Decoding {result.picture}</h2>",
        f"<p class=note>Median of several runs, wall clock, {result.threads} threads of torch.</p>",
        parts.table(("codec", "ms"), times),
        "<h2 id=how>Commands and versions</h2>",
        parts.commands(command, peers, (), _METHOD),
        parts.folded("All means", parts.table(_MEAN_HEAD, map(_mean_cells, result.means))),
        parts.failed(result.failures),
    ]
    return parts.document(title, "".join(body))


def mean_table(result: ExtremeResult, kind: str, target: float) -> tuple[list[str], list[list[str]]]:
    """One line per codec."""
    found = [_mean_cells(mean) for mean in result.means if (mean.kind, mean.target) == (kind, target)]
    return parts.without_empty_columns(_MEAN_HEAD, found)


def lost_table(result: ExtremeResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """One line for each share of lost indices and way to fill them in."""
    return _LOST_HEAD, list(map(_lost_cells, result.restoration))


def usage_table(result: ExtremeResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """One line per stage."""
    return _USAGE_HEAD, list(map(_usage_cells, result.usage))


def lost_rate(result: ExtremeResult) -> str:
    return f"files of {result.restoration[0].bpp:.3f} bpp." if result.restoration else "not measured."


def _mean_cells(mean: ExtremeMean) -> tuple[str, ...]:
    msssim = (parts.number(mean.msssim, 4), parts.number(mean.msssim_db, 2))
    quality = (*msssim, f"{mean.psnr:.2f}", parts.number(mean.lpips, 4))
    accuracy = "" if mean.accuracy is None else f"{mean.accuracy:.1%}"
    return (mean.codec, mean.setting, f"{mean.bytes:,.0f}", f"{mean.bpp:.4f}", *quality, f"{mean.distance:.4f}",
            accuracy, _said(mean))  # fmt: skip


def _said(mean: ExtremeMean) -> str:
    if not mean.target:
        return ""
    if not mean.lacking:
        return "met"
    return "cannot go lower" + (f" on {mean.lacking} of {mean.sources}" if mean.lacking < mean.sources else "")


def _lost_cells(mean: RestorationMean) -> tuple[str, ...]:
    db = None if mean.msssim is None else metrics.ms_ssim_db(mean.msssim)
    return (f"{mean.lost:.0%}", mean.method, f"{mean.psnr:.2f}", parts.number(mean.msssim, 4), parts.number(db, 2))


def _usage_cells(row: UsageRow) -> tuple[str, ...]:
    whole = (f"{row.payload:,}", f"{row.files:,}") if row.stage == row.full else ("", "")
    shares = (f"{row.used:.1%}", f"{row.perplexity:.0f}", f"{row.used_near:.1%}", f"{row.running:.1%}")
    gain = f"{1 - row.bits / row.raw_bits:.1%}"
    return (str(row.full), str(row.stage), f"{row.cells:,}", str(row.depth), f"{row.bits:,.0f}", gain, *shares, *whole)

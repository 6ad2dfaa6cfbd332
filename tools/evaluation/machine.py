"""`tessera evaluate machine SET.tar`: how well small classifiers do on coded pictures, and on latents without decoding.

One classifier is trained on clean pixels and kept in the report's folder.  For each codec and setting it sees the
decoded test pictures.  With --latents a classifier a family and quality learns from the latents that `tessera.open`
reads, without any pixels; with --retrain one a codec and setting learns from decoded training pictures.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.evaluation import metrics, perception
from tessera.tools.evaluation.jobs import Context, run, setting_text, subject, version_text
from tessera.tools.peers import families

QUALITIES = (10.0, 30.0, 50.0, 70.0, 90.0)
CODECS = "wavelet,jpeg,webp"


@dataclass(frozen=True)
class MachineRow:
    """Means over the test pictures of one codec and setting; `set` and `size` name the pictures and their number.

    accuracy    0..1, of the classifier trained on clean pixels
    retrained   of one trained on pictures coded like this; None without --retrain
    latents     of one trained on the latents; None without --latents or for other codecs
    ssim_db     -10 log10(1 - SSIM): the pictures are too small for MS-SSIM
    """

    codec: str
    version: str
    setting: str
    set: str
    size: int
    bpp: float
    psnr: float
    ssim_db: float
    lpips: float | None
    accuracy: float
    retrained: float | None
    latents: float | None


@dataclass(frozen=True)
class MachineJob:
    context: Context
    codec: str
    setting: float
    path: Path
    digest: str
    model: Path
    size: int
    epochs: int
    retrain: bool
    latents: bool


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, write machine.csv, correlations.csv and accuracy.png to `args.out`; return what they hold."""
    if len(args.paths) != 1 or not args.paths[0].is_file():
        raise ParameterError("evaluate machine takes one tar file of pictures train/CLASS/NAME and test/CLASS/NAME")
    path = args.paths[0]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    context = Context("images", tuple(args.qualities or QUALITIES), args.device)
    peers = [subject(context, name) for name in args.codecs or CODECS.split(",")]
    model, clean = _model(path, digest, args)
    file = args.out / "machine.csv"
    known = {(row.codec, row.version, row.setting, row.set, row.size): row for row in read(file)}
    rows: list[MachineRow] = []
    jobs: list[MachineJob] = []
    for peer in peers:
        for setting in peer.settings:
            row = known.get((peer.name, version_text(peer), setting_text(peer, setting), digest, args.images))
            job = MachineJob(context, peer.name, setting, path, digest, model, args.images, args.epochs, args.retrain,
                             args.latents and families.known(peer.name))  # fmt: skip
            complete = row is not None and (row.latents is not None or not job.latents) and (
                row.retrained is not None or not job.retrain)  # fmt: skip
            if row is not None and complete:
                rows.append(row)
            else:
                jobs.append(job)
    with options.progress_bar("measuring", quiet=args.json) as progress:
        for row in run(jobs, measure, args.jobs):
            rows.append(row)
            write(file, [*known.values(), *rows])  # a row takes minutes: keep each
            if progress:
                progress(len(rows), len(rows) + len(jobs))
    order = {(p.name, setting_text(p, s)): (i, j) for i, p in enumerate(peers) for j, s in enumerate(p.settings)}
    rows.sort(key=lambda row: order[row.codec, row.setting])
    table = correlations(rows)
    write(file, [*known.values(), *rows])
    _write_table(args.out / "correlations.csv", table)
    draw(args.out / "accuracy.png", rows, clean)
    return {"clean_accuracy": clean, "rows": rows, "correlations": table}


def _model(path: Path, digest: str, args: argparse.Namespace) -> tuple[Path, float]:
    """The file of the classifier trained on clean pixels, made if there is none, and its accuracy on clean pixels."""
    from safetensors.torch import load_file, save_file

    file = args.out / f"classifier-{digest}-{args.epochs}.safetensors"
    test = _part(perception.read_set(path, "test"), args.images)
    if file.exists():
        model = perception.classifier(3, test.pixels.shape[1], len(test.classes))
        model.load_state_dict(load_file(file))
        model.eval()
    else:
        clean = perception.read_set(path, "train")
        model = perception.train(perception.as_input(clean.pixels), torch.from_numpy(clean.labels), len(clean.classes),
                                 epochs=args.epochs)  # fmt: skip
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, file)
    return file, perception.accuracy(model, perception.as_input(test.pixels), torch.from_numpy(test.labels))


def _part(whole: perception.LabelledSet, size: int) -> perception.LabelledSet:
    """`size` pictures spread evenly over the set; all for 0."""
    if size <= 0 or size >= len(whole.labels):
        return whole
    chosen = np.arange(size) * len(whole.labels) // size
    return perception.LabelledSet(whole.pixels[chosen], whole.labels[chosen], whole.classes)


def measure(job: MachineJob) -> MachineRow:
    """Everything about one codec at one setting."""
    from safetensors.torch import load_file

    codec = subject(job.context, job.codec)
    test = _part(perception.read_set(job.path, "test"), job.size)
    files = [codec.encode(pixels, job.setting) for pixels in test.pixels]
    decoded = np.stack([codec.decode(data) for data in files])
    model = perception.classifier(3, decoded.shape[1], len(test.classes))
    model.load_state_dict(load_file(job.model))
    pairs = list(zip(test.pixels, decoded, strict=True))
    lpips = [metrics.lpips(*pair) for pair in pairs[:100]]
    known = [value for value in lpips if value is not None]
    labels = torch.from_numpy(test.labels)
    return MachineRow(
        codec=codec.name,
        version=version_text(codec),
        setting=setting_text(codec, job.setting),
        set=job.digest,
        size=job.size,
        bpp=round(8 * sum(map(len, files)) / (decoded.size / 3), 6),
        psnr=round(fmean(metrics.psnr(*pair) for pair in pairs), 4),
        ssim_db=round(metrics.ms_ssim_db(_ssim(test.pixels, decoded)), 4),
        lpips=round(fmean(known), 5) if known else None,
        accuracy=perception.accuracy(model.eval(), perception.as_input(decoded), labels),
        retrained=_retrained(job, codec, decoded, labels) if job.retrain else None,
        latents=_from_latents(job, codec, files, labels) if job.latents else None,
    )


def _ssim(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    from pytorch_msssim import ssim

    a, b = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() for pixels in (first, second))
    with torch.inference_mode():
        return float(ssim(a, b, data_range=255.0))


def _retrained(job: MachineJob, codec: Any, decoded: NDArray[np.uint8], labels: torch.Tensor) -> float:
    """The accuracy of a classifier trained on coded pictures."""
    clean = perception.read_set(job.path, "train")
    coded = np.stack([codec.decode(codec.encode(pixels, job.setting)) for pixels in clean.pixels])
    inputs, wanted = perception.as_input(coded), torch.from_numpy(clean.labels)
    model = perception.train(inputs, wanted, len(clean.classes), epochs=job.epochs)
    return perception.accuracy(model, perception.as_input(decoded), labels)


def _from_latents(job: MachineJob, codec: Any, files: Sequence[bytes], labels: torch.Tensor) -> float:
    """The accuracy of a classifier that learns from latents and sees the test files' latents."""
    clean = perception.read_set(job.path, "train")
    inputs = torch.stack([_latents(codec.encode(pixels, job.setting)) for pixels in clean.pixels])
    scale = inputs.square().mean((0, 2, 3), keepdim=True).sqrt().clamp_min(1e-3)
    wanted = torch.from_numpy(clean.labels)
    model = perception.train((inputs / scale).clamp_(-8, 8), wanted, len(clean.classes), epochs=job.epochs)
    shown = torch.stack([_latents(data) for data in files])
    return perception.accuracy(model, (shown / scale).clamp_(-8, 8), labels)


def _latents(data: bytes) -> torch.Tensor:
    """float (C, h, w) of a picture's file."""
    import tessera

    with tessera.open(data) as clip:
        return clip.latents(0, 1).x[0].permute(2, 0, 1)


def correlations(rows: Sequence[MachineRow]) -> list[dict[str, Any]]:
    """Spearman's rank correlation of accuracy with each measure of quality, over all rows and over each codec's."""
    groups = {"all": list(rows)}
    for row in rows:
        groups.setdefault(row.codec, []).append(row)
    table: list[dict[str, Any]] = []
    for name, group in groups.items():
        accuracy = [row.accuracy for row in group]
        entry: dict[str, Any] = {"codecs": name, "points": len(group)}
        for measure_name in ("bpp", "psnr", "ssim_db"):
            values = [getattr(row, measure_name) for row in group]
            entry[measure_name] = round(perception.spearman(accuracy, values), 4)
        lpips = [row.lpips for row in group if row.lpips is not None]
        entry["lpips"] = round(perception.spearman(accuracy, lpips), 4) if len(lpips) == len(group) else None
        table.append(entry)
    return table


def draw(file: Path, rows: Sequence[MachineRow], clean: float) -> None:
    """Accuracy over rate: pixels with lines, latents with dotted ones, the clean accuracy as a level."""
    from tessera.tools.report import plots

    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        lines.setdefault(row.codec, []).append((row.bpp, 100 * row.accuracy))
        for kind in ("retrained", "latents"):
            value = getattr(row, kind)
            if value is not None:
                lines.setdefault(f"{row.codec}, {kind}", []).append((row.bpp, 100 * value))
    rates = [row.bpp for row in rows]
    lines["clean pixels"] = [(min(rates), 100 * clean), (max(rates), 100 * clean)]
    ours = [name for name in lines if families.known(name.split(",")[0])]
    plots.draw(file, "accuracy on decoded pixels (%)", lines, plots.palette(list(lines), ours), ours)


def read(file: Path) -> list[MachineRow]:
    """The rows of a file that `write` wrote; none where there is no file."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return [_parse(item) for item in csv.DictReader(stream)]


def _parse(item: dict[str, str]) -> MachineRow:
    values: dict[str, Any] = {}
    for name, text in item.items():
        if name in ("codec", "version", "setting", "set"):
            values[name] = text
        else:
            values[name] = (int(text) if name == "size" else float(text)) if text else None
    return MachineRow(**values)


def write(file: Path, rows: Sequence[MachineRow]) -> None:
    """All rows, the last one of the same measurement counting."""
    latest = {(row.codec, row.setting, row.set, row.size): row for row in rows}
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(field.name for field in dataclasses.fields(MachineRow))
        writer.writerows(dataclasses.astuple(row) for row in latest.values())


def _write_table(file: Path, table: Sequence[dict[str, Any]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, table[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def print_tables(result: dict[str, Any]) -> None:
    """The rows and correlations as text."""
    def percent(value: float | None) -> str:
        return "" if value is None else f"{value:.1%}"

    cells = [
        (r.codec, r.setting, f"{r.bpp:.3f}", f"{r.psnr:.2f}", f"{r.ssim_db:.2f}", percent(r.accuracy),
         percent(r.retrained), percent(r.latents))
        for r in result["rows"]
    ]  # fmt: skip
    print(f"clean pixels: {percent(result['clean_accuracy'])}")
    head = ["codec", "setting", "bpp", "PSNR", "SSIM dB", "accuracy", "retrained", "latents"]
    print(options.text_table(head, cells, left=2))
    print("\nrank correlation of accuracy")
    head = list(result["correlations"][0])
    shown = [["" if entry[name] is None else str(entry[name]) for name in head] for entry in result["correlations"]]
    print(options.text_table(head, shown))

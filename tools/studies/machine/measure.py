"""Measures the accuracy of small classifiers on coded pictures, and on latents without decoding.

One classifier is trained on clean pixels and kept beside the table of rows.  It classifies the decoded test pictures of
each codec and setting.  Two more kinds are optional: a classifier per family and quality that learns from the latents
that `tessera.open` reads, and one per codec and setting that learns from decoded training pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from tessera.codec.options import Progress
from tessera.tools.measuring import metrics, perception
from tessera.tools.measuring.job import Failure, Job, JobContext, digest_of, setting_text, subject, version_text
from tessera.tools.measuring.mean import mean_of_all
from tessera.tools.measuring.rows import RowFile, rewrite
from tessera.tools.measuring.settings import Workers
from tessera.tools.measuring.workers import asked_order, collect
from tessera.tools.peers import families
from tessera.tools.peers.peer import PicturePeer
from tessera.tools.studies.machine.rows import MachineRow
from tessera.tools.studies.machine.settings import MachineSettings

LPIPS_PICTURES = 100  # LPIPS is slow, so it is measured on so many test pictures, spread evenly


@dataclass(frozen=True)
class MachineJob(Job):
    """One codec at one setting on the set at `path`.

    images   test pictures, 0 for all;  epochs  of training each classifier
    retrain, latents   also train on coded pictures, on latents
    model    file of the classifier that was trained on clean pictures
    known    the row that is there already and lacks what is wanted
    """

    images: int
    epochs: int
    retrain: bool
    latents: bool
    model: Path
    known: MachineRow | None = None

    @property
    def lacking(self) -> bool:
        """Whether there is something to measure."""
        row = self.known
        return row is None or (self.retrain and row.retrained is None) or (self.latents and row.latents is None)


def measure(settings: MachineSettings, path: Path, folder: Path, *, workers: Workers = 1,
            progress: Progress | None = None) -> tuple[float, list[MachineRow], list[Failure]]:  # fmt: skip
    """The accuracy on clean pixels, a row for each codec and setting, and what failed.

    `path` is a tar file of train/CLASS/NAME and test/CLASS/NAME.  `folder` keeps machine.csv and the classifier: what
    they hold already is neither measured nor trained again.
    """
    context = context_of(settings)
    peers = [subject(context, name) for name in settings.codecs]
    digest = digest_of(path)
    model, clean = classifier_of(path, digest, settings.images, settings.epochs, folder)
    rows: list[MachineRow] = []
    jobs: list[MachineJob] = []
    with RowFile(folder / "machine.csv", MachineRow) as store:
        known = {row.key: row for row in store.rows}
        for job in jobs_of(settings, path, digest, model):
            codec = subject(context, job.codec)
            setting = setting_text(codec, job.setting)
            row = known.get((codec.name, version_text(codec), setting, digest, job.images, job.epochs))
            job = dataclasses.replace(job, known=row)
            if row is not None and not job.lacking:
                rows.append(row)
            else:
                jobs.append(job)
        new, failures = collect(jobs, measure_set, store, workers, progress, done=len(rows))
    rewrite(folder / "machine.csv", store.rows, MachineRow)
    order = asked_order(peers)
    return clean, sorted([*rows, *new], key=lambda row: order[row.codec, row.setting]), failures


def context_of(settings: MachineSettings) -> JobContext:
    """What all jobs have in common."""
    return JobContext("images", settings.qualities, settings.device)


def jobs_of(settings: MachineSettings, path: Path, digest: str, model: Path) -> list[MachineJob]:
    """A job for each codec and setting: only families have latents, only some settings are trained on."""
    context = context_of(settings)
    jobs = []
    for name in settings.codecs:
        codec = subject(context, name)
        latents = settings.latents and families.known(codec.name)
        for at in codec.settings:
            retrain = settings.retrains(at)
            jobs.append(MachineJob(context, codec.name, at, path, digest, settings.images, settings.epochs, retrain,
                                   latents, model))  # fmt: skip
    return jobs


def classifier_of(path: Path, digest: str, images: int, epochs: int, folder: Path) -> tuple[Path, float]:
    """The file of the classifier trained on clean pixels, made if there is none, and its accuracy on clean pixels.

    `path` is the set and `digest` its own; `images` of its test pictures are looked at, all for 0.
    """
    from safetensors.torch import save_file

    file = folder / f"classifier-{digest}-{epochs}.safetensors"
    test = first_of(perception.read_set(path, "test"), images)
    if file.exists():
        model = load_classifier(file, test)
    else:
        clean = perception.read_set(path, "train")
        model = perception.train(perception.as_input(clean.pixels), torch.from_numpy(clean.labels), len(clean.classes),
                                 epochs=epochs)  # fmt: skip
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, file)
    return file, perception.accuracy(model, perception.as_input(test.pixels), torch.from_numpy(test.labels))


def load_classifier(file: Path, shown: perception.LabelledSet) -> torch.nn.Sequential:
    """The classifier in `file`, of pictures like those of `shown`."""
    from safetensors.torch import load_file

    model = perception.classifier(3, shown.pixels.shape[1], len(shown.classes))
    model.load_state_dict(load_file(file))
    return model.eval()


def first_of(whole: perception.LabelledSet, size: int) -> perception.LabelledSet:
    """`size` pictures spread evenly over the set; all for 0."""
    if size <= 0 or size >= len(whole.labels):
        return whole
    chosen = np.arange(size) * len(whole.labels) // size
    return perception.LabelledSet(whole.pixels[chosen], whole.labels[chosen], whole.classes)


def measure_set(job: MachineJob, codec: PicturePeer) -> MachineRow:
    """Measure everything about one codec at one setting that is not in `job.known`."""
    test = first_of(perception.read_set(job.path, "test"), job.images)
    files = [codec.encode(pixels, job.setting) for pixels in test.pixels]
    decoded = np.stack([codec.decode(data) for data in files])
    row = job.known or _coded(job, codec, test, files, decoded)
    labels = torch.from_numpy(test.labels)
    if job.retrain and row.retrained is None:
        row = dataclasses.replace(row, retrained=_retrained(job, codec, decoded, labels))
    if job.latents and row.latents is None:
        row = dataclasses.replace(row, latents=_from_latents(job, codec, files, labels))
    return row


def _coded(job: MachineJob, codec: PicturePeer, test: perception.LabelledSet, files: Sequence[bytes],
           decoded: NDArray[np.uint8]) -> MachineRow:  # fmt: skip
    """Rate, quality, and the accuracy of the classifier of clean pixels."""
    pairs = list(zip(test.pixels, decoded, strict=True))
    msssim = mean_of_all([metrics.ms_ssim(*pair) for pair in pairs])
    lpips = mean_of_all([metrics.lpips(*pair) for pair in pairs[:: max(1, len(pairs) // LPIPS_PICTURES)]])
    model, labels = load_classifier(job.model, test), torch.from_numpy(test.labels)
    accuracy = perception.accuracy(model, perception.as_input(decoded), labels)
    return MachineRow(
        codec=codec.name,
        version=version_text(codec),
        setting=setting_text(codec, job.setting),
        set=job.digest,
        size=job.images,
        epochs=job.epochs,
        bpp=round(8 * sum(map(len, files)) / (decoded.size / 3), 6),
        psnr=round(fmean(metrics.psnr(*pair) for pair in pairs), 4),
        ssim_db=round(metrics.ms_ssim_db(_ssim(test.pixels, decoded)), 4),
        msssim_db=None if msssim is None else round(metrics.ms_ssim_db(msssim), 4),
        lpips=None if lpips is None else round(lpips, 5),
        accuracy=accuracy,
        retrained=None,
        latents=None,
    )


def _ssim(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    from pytorch_msssim import ssim

    a, b = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() for pixels in (first, second))
    with torch.inference_mode():
        return float(ssim(a, b, data_range=255.0))


def _retrained(job: MachineJob, codec: PicturePeer, decoded: NDArray[np.uint8], labels: torch.Tensor) -> float:
    """The accuracy of a classifier trained on coded pictures."""
    clean = perception.read_set(job.path, "train")
    coded = np.stack([codec.decode(codec.encode(pixels, job.setting)) for pixels in clean.pixels])
    inputs, wanted = perception.as_input(coded), torch.from_numpy(clean.labels)
    model = perception.train(inputs, wanted, len(clean.classes), epochs=job.epochs)
    return perception.accuracy(model, perception.as_input(decoded), labels)


def _from_latents(job: MachineJob, codec: PicturePeer, files: Sequence[bytes], labels: torch.Tensor) -> float:
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

"""From a picture to what is coded: fit, round the networks, look at what came out, start again where it failed."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...entropy import Tables
from ..base.fitted import FitFailed, FitStatus, Store, Watch
from ..base.kernels import Kernels
from .coding import measure, paint
from .fitting import MIDDLE_WEIGHT, PictureFit, Score, rate_weight, rounded_phase, short_phase
from .options import FitOptions
from .rounding import NetworkRounding
from .running import STEER_MOST, STEER_POWER, Aim, FitRun, has_collapsed, levels_of
from .shape import FittedPicture
from .start import Starts, nearest_start

MOST_PIXELS, MOST_SIDE = 1 << 24, 1 << 15  # of a fit, which takes about 200 bytes per pixel
RESTARTS, RESTART_WEIGHT = 2, 1 / 16
SMALL = 10_000  # pixels, over which networks are a small part of the bits
REPORT_EVERY = 0.5  # seconds
NETWORK_BITS = (3600.0, 7800.0, 14000.0)  # of an operating point, about: what an aim leaves to the networks at first
SPARE = 0.995  # of the bits that are aimed at
MIDDLE_RATE, MIDDLE_PSNR, RATE_POWER = 0.5, 34.5, -1.6  # what photographs take at MIDDLE_WEIGHT, and how weights follow
SPARE_PSNR = 0.02  # dB beyond the one that is aimed at
CORRECTIONS, CORRECTION_PART, LEAST_CORRECTION = 6, 0.04, 60  # ways on to an aim, of so many of the iterations each
NEAR = 0.03  # of the logarithm of the rate weight, from an aim that is met


@dataclass(frozen=True)
class PictureJob:
    """One picture and what is wanted of it.

    Attributes:
        pixels: uint8 (height, width, 1 or 3).
        quality: Fine quality, which says the rate weight where neither bits nor psnr are given.
        options: Of the fit.
        tables: Of the family.
        starts: That were learned; may be empty.
        bits: At most, of the whole picture.
        psnr: At least, in dB.
    """

    pixels: NDArray[np.uint8]
    quality: int
    options: FitOptions
    tables: Tables
    starts: Starts
    bits: float | None = None
    psnr: float | None = None
    watch: Watch | None = None
    store: Store | None = None

    def key(self) -> str:
        """Names picture and settings in a store."""
        parts = (self.pixels.shape, self.quality, self.options, self.bits, self.psnr)
        return hashlib.sha256(repr(parts).encode() + self.pixels.tobytes()).hexdigest()[:32]


def encode_picture(job: PictureJob) -> FittedPicture:
    """Fit a picture.

    Raises:
        FitFailed: the picture is too large to fit, or every start ends near a flat colour.
        KeyboardInterrupt: as it comes; with `options.early` the fit ends there instead.
    """
    height, width = job.pixels.shape[:2]
    if height * width > MOST_PIXELS or max(height, width) > MOST_SIDE:
        raise FitFailed(f"{width}x{height} pixels are too many to fit: encode the picture with another codec")
    for restart in range(RESTARTS + 1):
        options = replace(job.options, seed=job.options.seed + restart)
        again = replace(job, options=options, starts={}) if restart else job
        fit, ended = _fit(again, _restart_weight(restart, height * width))
        picture = _meet_aim(fit, job, LEAST_CORRECTION if ended else round(CORRECTION_PART * job.options.steps))
        if not has_collapsed(paint(picture, Kernels()), job.pixels):
            return picture
        if ended:
            raise FitFailed("the fit was interrupted before it got beyond one flat colour: nothing is written")
    raise FitFailed("no fit of this picture gets beyond one flat colour: raise the quality, or take another codec")


def _restart_weight(restart: int, pixels: int) -> float:
    """What the rate weight is multiplied by: where one flat colour costs the least, bits must become cheaper.

    Networks take the more bits per pixel the smaller the picture is.
    """
    return RESTART_WEIGHT**restart * min(1.0, pixels / SMALL) if restart else 1.0


def _fit(job: PictureJob, weight_part: float) -> tuple[PictureFit, bool]:
    """A fit, and whether an interrupt ended it."""
    chosen, ended = job.options, False
    height, width = job.pixels.shape[:2]
    weight = weight_part * _first_weight(job)
    levels = levels_of(height, width)
    fit = PictureFit(job.pixels, chosen.point, levels, weight, chosen.seed)
    start = nearest_start(job.starts, chosen.point, levels, job.pixels.shape[2], weight)
    bits = None if job.bits is None else max(SPARE * job.bits - NETWORK_BITS[chosen.point], 0.1 * job.bits)
    watcher = _Watcher(job)
    try:
        FitRun(fit, chosen.steps, Aim(bits, job.psnr), watcher, start, job.store, job.key()).run()
    except KeyboardInterrupt:
        if not (chosen.early and watcher.called):
            raise
        ended = True
    return fit, ended


def _first_weight(job: PictureJob) -> float:
    """The rate weight to start from: of the quality, or about that of the aim."""
    if job.bits is not None:
        rate = job.bits / job.pixels[..., 0].size
        return float(MIDDLE_WEIGHT * min(max((rate / MIDDLE_RATE) ** RATE_POWER, 1e-2), 1e2))
    if job.psnr is not None:
        return float(MIDDLE_WEIGHT * min(max(10 ** ((MIDDLE_PSNR - job.psnr) / 10), 1e-2), 1e2))
    return rate_weight(job.quality)


class _Watcher:
    """Passes on what a run tells, not too often."""

    def __init__(self, job: PictureJob) -> None:
        self.job, self.began, self.told, self.called = job, time.monotonic(), 0.0, False

    def __call__(self, part: float, seen: Score) -> None:
        self.called = True
        now = time.monotonic() - self.began
        if self.job.watch is not None and (now - self.told > REPORT_EVERY or part >= 1):
            self.told = now
            self.job.watch(FitStatus(part, round(part * self.job.options.steps), seen.psnr, seen.bits, now))


def _meet_aim(fit: PictureFit, job: PictureJob, steps: int) -> FittedPicture:
    """Round the networks; while the aim is missed, go on for so many steps with another rate weight.

    Of what meets the aim the nearest to it is taken, else the last.
    """
    steps = max(LEAST_CORRECTION, steps)
    picture, nearest, distance = _rounded(fit, job), None, np.inf
    for _ in range(CORRECTIONS):
        met, factor = _distance(picture, job)
        if met and abs(np.log(factor)) < distance:
            nearest, distance = picture, abs(np.log(factor))
        if distance < NEAR:
            break
        fit.weight *= min(max(factor, 1 / STEER_MOST), STEER_MOST)
        for phase in (short_phase(steps), rounded_phase(steps)):
            for _ in fit.run(phase):
                pass
        picture = _rounded(fit, job)
    return nearest or picture


def _rounded(fit: PictureFit, job: PictureJob) -> FittedPicture:
    networks = NetworkRounding(fit, job.tables)
    networks.search()
    return networks.picture()


def _distance(picture: FittedPicture, job: PictureJob) -> tuple[bool, float]:
    """Whether the aim is met, and what the rate weight would be multiplied by to meet it just so."""
    if job.bits is not None:
        spent = measure(picture, job.tables, Kernels()).bits
        return spent <= job.bits, float((spent / (SPARE * job.bits)) ** STEER_POWER)
    if job.psnr is not None:
        error = np.square(paint(picture, Kernels()).astype(np.float64) - job.pixels).mean()
        beyond = 10 * np.log10(255**2 / max(error, 1e-9)) - job.psnr
        return bool(beyond >= 0), float(10 ** ((beyond - SPARE_PSNR) / 10))
    return True, 1.0

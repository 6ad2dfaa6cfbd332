"""Rows of the study, their means, and what the report is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tessera.tools.measuring.job import Failure
from tessera.tools.measuring.rows import Measured

PICTURES, MOSAICS, SINGLES = KINDS = ("pictures", "mosaics", "singles")
SLACK = 1.15  # a codec whose least file is larger than so many targets cannot reach it


@dataclass(frozen=True)
class Sources:
    """The files of a study: pictures without labels, and a tar file of train/CLASS/NAME and test/CLASS/NAME."""

    pictures: tuple[Path, ...]
    labelled: Path


@dataclass(frozen=True)
class ExtremeRow(Measured):
    """One codec on one source, at a setting of its ladder or at the size nearest to a target.

    sha256      first 12 digits of the source file's SHA-256; for parts of a set, with the number of its pictures
    judge       the set and the epochs that the classifier was trained with
    target      bits per pixel asked for; 0 on the ladder
    files       number of files; `bytes` is their sum, headers included
    least_bpp   rate at the setting that makes the smallest files; None on the ladder
    psnr        mean over the files, as msssim and lpips (None below 161 pixels per side, and where it is not measured)
    distance    mean over tiles of a picture, pictures of a set; see `features.distances`
    accuracy    the classifier's, 0..1; None for pictures without labels
    """

    kind: str
    source: str
    sha256: str
    judge: str
    target: float
    files: int
    bytes: int
    bpp: float
    least_bpp: float | None
    psnr: float
    msssim: float | None
    lpips: float | None
    distance: float
    accuracy: float | None

    @property
    def subject(self) -> tuple[object, ...]:
        return (self.kind, self.source, self.sha256, self.judge, self.target)

    @property
    def order(self) -> tuple[str, float]:
        return f"{self.kind} {self.source} {self.target > 0}", self.bpp

    @property
    def key(self) -> tuple[object, ...]:
        """At a target the setting is found, not asked for."""
        return (self.codec, self.version, "" if self.target else self.setting, *self.subject)

    @property
    def lacking(self) -> bool:
        """The codec cannot make files as small as the target."""
        return self.least_bpp is not None and self.least_bpp > SLACK * self.target


@dataclass(frozen=True)
class RestorationRow(Measured):
    """One picture with a share of the indices of each stage lost, filled in by a `method`."""

    source: str
    sha256: str
    lost: float
    method: str
    bpp: float
    psnr: float
    msssim: float | None

    @property
    def subject(self) -> tuple[object, ...]:
        return (self.source, self.sha256, self.lost, self.method)

    @property
    def order(self) -> tuple[str, float]:
        return f"{self.source} {self.method}", self.lost


@dataclass(frozen=True)
class UsageRow(Measured):
    """One stage on all pictures, at the quality where stage `full` is the last one and coded in full.

    pictures      a digest of theirs
    cells, depth  vectors of the stage in all pictures, and bits of an index: log2 of the number of words
    raw_bits, bits   cells times depth; what the prior made of them
    payload, files   bytes of symbols and of whole files, all stages, all pictures
    used          share of the stage's words that some picture uses, chosen against their bits as the encoder does
    perplexity    2 to the entropy of the words' frequencies
    used_near     as `used`, where the encoder takes the nearest word whatever it costs
    running       share of words whose running use in the weights file is not that of a dead one
    """

    pictures: str
    full: int
    stage: int
    cells: int
    depth: int
    raw_bits: float
    bits: float
    payload: int
    files: int
    used: float
    perplexity: float
    used_near: float
    running: float

    @property
    def subject(self) -> tuple[object, ...]:
        return (self.pictures, self.full, self.stage)

    @property
    def order(self) -> tuple[str, float]:
        return f"{self.full} {self.stage}", self.bits


@dataclass(frozen=True)
class ExtremeOutcome:
    """clean: the classifier's accuracy on pictures that were not coded; over: test pictures in no mosaic."""

    clean: float
    model: Path
    pictures: int
    over: int
    rows: list[ExtremeRow]
    failures: list[Failure]


@dataclass(frozen=True)
class ExtremeMean:
    """Means over the sources of one kind, at a target or (target 0) at a setting of the ladder.

    setting   at a target, the median
    lacking   sources on which the codec cannot go as low as the target, of `sources`
    """

    kind: str
    target: float
    codec: str
    setting: str
    sources: int
    lacking: int
    bytes: float
    bpp: float
    psnr: float
    msssim: float | None
    msssim_db: float | None
    lpips: float | None
    distance: float
    accuracy: float | None


@dataclass(frozen=True)
class RestorationMean:
    """Means over the pictures."""

    lost: float
    method: str
    bpp: float
    psnr: float
    msssim: float | None


@dataclass
class ExtremeResult:
    """The figures of a report.

    decode_ms   medians of one picture's decoding on `threads` threads, wall clock
    """

    clean_accuracy: float
    means: list[ExtremeMean]
    restoration: list[RestorationMean]
    usage: list[UsageRow]
    picture: str
    threads: int
    decode_ms: dict[str, float]
    failures: list[Failure]
    notes: list[str]

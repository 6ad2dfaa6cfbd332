"""Settings of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tessera.codec.errors import ParameterError
from tessera.data.storage import local_path

OBJECTIVES = ("pixels", "task", "perceptual", "analysis", "start")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """One training run.

    name        family
    objective   what is trained: "pixels", the family's weights; "task", gains of its bands for a classifier (see
                `distillation`); "perceptual" and "analysis", one more network for its weights (see `companions`);
                "start", where fits of family overfitted begin (see `starts`)
    data        tar archives of pictures or clips; for a task one that holds train/CLASS/NAME
    out         folder for checkpoints and logs; with objective "pixels" also a URL that fsspec knows
    options     options of the family's model, or of the objective
    minutes     time for the whole schedule
    batch, crop   pictures per step, and pixels on a side of what is cut out of them
    epochs      epochs of training a task's teacher
    threads     CPU threads, 0 for all
    resume      go on from the checkpoint in `out`, if there is one
    init        exported weights to start from
    lr          factor on every learning rate
    validate    minutes between validations
    """

    name: str
    data: tuple[str | Path, ...]
    out: Path | str
    objective: str = "pixels"
    options: Mapping[str, float] = field(default_factory=dict)
    minutes: float = 60.0
    batch: int = 8
    crop: int = 256
    epochs: int = 14
    threads: int = 0
    seed: int = 0
    device: str = "cpu"
    resume: bool = False
    init: Path | None = None
    lr: float = 1.0
    validate: float = 15.0

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ParameterError(f"objective {self.objective!r}: there are {', '.join(OBJECTIVES)}")
        if self.objective != "pixels" and local_path(str(self.out)) is None:
            raise ParameterError(f"out {self.out}: objective {self.objective} takes a folder of this machine")
        if not self.data:
            raise ParameterError("data: at least one pack is needed")
        for name, least in (("batch", 1), ("crop", 1), ("epochs", 1), ("threads", 0)):
            if getattr(self, name) < least:
                raise ParameterError(f"{name} {getattr(self, name)}: at least {least}")
        for name in ("minutes", "lr", "validate"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} {getattr(self, name):g}: more than 0 is needed")

    @property
    def folder(self) -> Path:
        """`out` as a folder of this machine."""
        return local_path(str(self.out)) or Path(self.out)

"""Family `nerv`: frames <-> symbols.  Encoding fits a network; the weights file holds only CDF tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...entropy import Tables
from ..base.configure import changed, flag, number, refuse_unknown
from ..base.cost import Cost
from ..base.family import GroupSpec, Latents, Pixels, SymbolPort
from ..base.fitted import Store, Watch, rate_of
from ..base.ports import Metered
from ..base.torch_defaults import float32_on_cpu
from ..prior.exchange import spent_bits
from ..prior.ladder import TABLE_NAMES
from .bounds import smallest_cost
from .config import (
    ARCHITECTURES,
    CONTENT,
    TIME_CODE,
    WIDTH_UNIT,
    Config,
    choose_embedding,
    choose_strides,
    fit_width,
    parameters,
)
from .embedding import time_code
from .fitting import OPTIMISERS
from .painter import NetworkPainter, all_embeddings
from .quantise import EMBEDDING, LadderCosts, TensorPart
from .schedule import EPOCHS
from .segments import GroupFit, GroupIntegers, Plan, segment_spans, visit_group
from .wire import IntegerReader, IntegerWriter

BITS_A_PARAMETER = 5.0  # default of option `bits`
CODER_BITS = 256.0  # what the range coder adds at the end of its bytes, at most


@dataclass(frozen=True)
class Options:
    """What `configure` sets; see `NervFamily.options`."""

    arch: str = "hnerv-boost"
    params: float | None = None
    bits: float = BITS_A_PARAMETER
    epochs: int = EPOCHS["medium"]
    minutes: float = math.inf
    segment: int = 1 << 16
    early: bool = False
    seed: int = 0
    optimiser: str = OPTIMISERS[0]


class NervFamily:
    """See `base.family.Family`, `base.fitted.Fits` and `base.fitted.PaintsFrames`.

    Latents are the embeddings of frames, or the codes of time where an architecture has no embeddings.  Stride and
    channels follow from the size of the frames; the class attributes are those of 640x360.
    """

    name: ClassVar[str] = "nerv"
    stride: ClassVar[int] = 128
    channels: int = 8
    decoders: tuple[str, ...] = ("standard", "fast")
    exact: ClassVar[bool] = False
    devices: ClassVar[tuple[str, ...]] = ("cpu", "cuda")
    default_gop: ClassVar[int] = 256
    meets_psnr: ClassVar[bool] = False
    options: ClassVar[dict[str, str]] = {
        "arch": f"{', '.join(ARCHITECTURES)} (default {Options.arch})",
        "params": "parameters of decoder and embeddings of a group, as 1.5M; default: the rate's bits / bits",
        "bits": f"bits a parameter (default {BITS_A_PARAMETER:g}): with params the rate, else the parameters",
        "epochs": f"times every frame is seen (default by effort: {', '.join(f'{k} {v}' for k, v in EPOCHS.items())})",
        "minutes": "time limit for the clip; the fit ends with whichever of both comes first",
        "segment": "frames a network, the later ones coded as differences (default: all frames of the group)",
        "early": "true: an interrupt ends the fit and the file is written",
        "seed": "of initial weights and the order of frames (default 0)",
        "optimiser": "muon: Muon for matrices and convolutions, Adam for the rest (default); adam: Adam for all",
        "checkpoint": "folder that keeps the state of fits, to go on after an interruption",
    }

    @float32_on_cpu()
    def __init__(self, tensors: dict[str, NDArray[Any]], metadata: dict[str, str], device: str = "cpu") -> None:
        frequencies, lows, sizes = (tensors[name] for name in TABLE_NAMES)
        self.tables = Tables(frequencies.astype(np.uint16), lows.astype(np.int32), sizes.astype(np.int32))
        self.ladder = LadderCosts(self.tables)
        self.chosen = Options()
        self.frame_bytes: float | None = None
        self.clip_frames: int | None = None
        self.watch: Watch | None = None
        self.store: Store | None = None
        self.device = torch.device(device)

    def configure(self, effort: str, **options: object) -> NervFamily:
        """ValueError names an option that is unknown or out of range."""
        refuse_unknown(self.name, options, self.options)
        return changed(self, chosen=_options({"epochs": EPOCHS[effort], **options}))

    def fitting(
        self,
        *,
        frame_bytes: float | None = None,
        psnr: float | None = None,
        frames: int | None = None,
        watch: Watch | None = None,
        store: Store | None = None,
    ) -> NervFamily:
        """See `fitted.Fits`; what is None stays as it was."""
        given = {"frame_bytes": frame_bytes, "clip_frames": frames, "watch": watch, "store": store}
        return changed(self, **{name: value for name, value in given.items() if value is not None})

    # -- encoding ----------------------------------------------------------------------------------------------------

    def config(self, spec: GroupSpec) -> Config:
        """The decoder of a group: with the parameters asked for, or as many as the rate allows at `bits` each."""
        chosen = self.chosen
        flags = ARCHITECTURES[chosen.arch]
        strides = choose_strides(spec.height, spec.width)
        stride = math.prod(strides)
        embedding = choose_embedding(spec.height, spec.width, stride) if flags & CONTENT else 0
        narrow = Config(flags, spec.frames, spec.height, spec.width, spec.channels, strides, embedding, WIDTH_UNIT)
        return fit_width(narrow, chosen.params or self._rate(spec) / chosen.bits)

    def _rate(self, spec: GroupSpec) -> float:
        """Bits of a group, without `params`."""
        if self.frame_bytes is not None:
            return 8 * self.frame_bytes * spec.frames
        return rate_of(spec.quality) * spec.frames * spec.height * spec.width

    def _plan(self, spec: GroupSpec, config: Config) -> Plan:
        chosen = self.chosen
        bits = self._rate(spec)
        if chosen.params is not None and self.frame_bytes is None:
            bits = chosen.bits * parameters(config)
        share = spec.frames / max(self.clip_frames or spec.frames, spec.frames)
        return Plan(
            max(bits - CODER_BITS, 1.0),
            chosen.epochs,
            60 * chosen.minutes * share,
            chosen.segment,
            chosen.early,
            chosen.seed,
            chosen.optimiser,
        )

    @float32_on_cpu()
    def encode(self, frames: Pixels, spec: GroupSpec, port: SymbolPort) -> None:
        config = self.config(spec)
        with torch.inference_mode(False), torch.enable_grad():
            pixels = torch.from_numpy(frames).to(self.device)
            fit = GroupFit(config, self.ladder, pixels, self._plan(spec, config), self.watch, self.store)
            coded = fit.run()
        visit_group(IntegerWriter(port, self.ladder.costs), spec, coded)

    def cost(self, spec: GroupSpec) -> Cost:
        return smallest_cost(spec.height, spec.width)

    # -- decoding ----------------------------------------------------------------------------------------------------

    def read(self, spec: GroupSpec, port: SymbolPort) -> GroupIntegers:
        """A group's integers."""
        return visit_group(IntegerReader(port), spec, None)

    @float32_on_cpu()
    def open_group(self, spec: GroupSpec, port: SymbolPort) -> NetworkPainter:
        return NetworkPainter(self.read(spec, port), self.device)

    @float32_on_cpu()
    def decode(self, spec: GroupSpec, port: SymbolPort, decoder: str) -> Pixels:
        times = np.arange(spec.frames, dtype=np.float64)
        return self.open_group(spec, port).paint(times, decoder)

    @float32_on_cpu()
    def latents(self, spec: GroupSpec, port: SymbolPort) -> Latents:
        """Embeddings with their own bits; the network's bits are shared evenly, so that all add up to the payload's."""
        metered = Metered(port, self.tables)
        reader = _CountingReader(metered)
        coded = visit_group(reader, spec, None)
        times = torch.arange(spec.frames, dtype=torch.float64)
        if coded.config.has(CONTENT):
            x = all_embeddings(coded).permute(0, 2, 3, 1).contiguous()
            own = torch.cat(reader.embedding_bits, 1).sum(0)
        else:
            x = time_code(times, spec.frames).view(spec.frames, 1, 1, TIME_CODE)
            own = torch.zeros(x.shape[:3])
        shared = (metered.spent - float(own.sum(dtype=torch.float64))) / own.numel()
        return Latents(
            x=x.numpy(),
            bits=(own + shared).numpy(),
            bits_prior=None,
            codes=None,
            times=times.numpy(),
            frame_type=_frame_types(spec.frames, coded.length).numpy(),
            valid=np.ones(x.shape[:3], np.bool_),
        )


class _CountingReader(IntegerReader):
    """Records the bits of each embedding."""

    def __init__(self, port: Metered) -> None:
        super().__init__(port)
        self.tables = port.tables
        self.embedding_bits: list[Tensor] = []  # (embedding, frames, h, w) of each segment

    def values(self, part: TensorPart, integers: Tensor | None) -> Tensor:
        found = super().values(part, integers)
        if part.name == EMBEDDING:
            bits = torch.from_numpy(spent_bits(self.tables, found.flatten().numpy(), self.rungs))
            self.embedding_bits.append(bits.view(part.shape))
        return found


def _frame_types(frames: int, length: int) -> Tensor:
    """0 for frames of a network that is coded by itself, 1 for those of one that is coded as differences."""
    counts = torch.tensor([count for _, count in segment_spans(frames, length)])
    return (torch.arange(len(counts)) > 0).long().repeat_interleave(counts)


# -- options -----------------------------------------------------------------------------------------------------------


def _options(given: dict[str, object]) -> Options:
    options = Options(
        arch=str(given.get("arch", Options.arch)),
        params=_count(given["params"]) if "params" in given else None,
        bits=_number(given, "bits", 0.5, 16),
        epochs=int(_number(given, "epochs", 1, 1e6)),
        minutes=_number(given, "minutes", 0.001, 1e5),
        segment=int(_number(given, "segment", 1, 1 << 16)),
        early=flag(given, "early", False),
        seed=int(_number(given, "seed", 0, 1 << 31)),
        optimiser=str(given.get("optimiser", Options.optimiser)),
    )
    if options.arch not in ARCHITECTURES:
        raise ValueError(f"there is no arch {options.arch!r}; there are {', '.join(ARCHITECTURES)}")
    if options.optimiser not in OPTIMISERS:
        raise ValueError(f"there is no optimiser {options.optimiser!r}; there are {', '.join(OPTIMISERS)}")
    return options


def _number(given: dict[str, object], name: str, low: float, high: float) -> float:
    return number(given, name, getattr(Options, name), low, high) if name in given else getattr(Options, name)


def _count(value: object) -> float:
    """A number of parameters from 1500000, 1.5M or 350K."""
    text = str(value).upper()
    unit = {"K": 1e3, "M": 1e6}.get(text[-1:], 1.0)
    try:
        count = float(text.rstrip("KM")) * unit
    except ValueError:
        raise ValueError(f"params {value!r} is not a number like 1.5M or 350K") from None
    if not 100 <= count <= 1 << 26:
        raise ValueError(f"params {count:g} is not in 100..{1 << 26}")
    return count

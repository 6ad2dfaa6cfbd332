"""Fitting one network to the segments of a group, one after the other.

The loss is ln(mean squared error of a frame) + weight * bits / budget.  Its distortion part is the mean PSNR itself, so
no frame outweighs another.  Its rate part is relative to the budget, so one weight serves every size; the weight moves
until the rate is met.  The first segment's weights are real numbers first and rounded ones in the last part of the fit.
Those of a later segment start from the segment before and are rounded all along; only their differences cost bits
(NIRVANA, Maiya et al., 2023).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from ..base.fitted import FitStatus
from ..networks.optim import MuonAdam
from ..networks.precision import multiplies_bf16
from .config import CONTENT, Config, shapes
from .config import weights as size_of
from .decoder import NervDecoder
from .embedding import ContentEncoder
from .quantise import EMBEDDING, STEPS_PER_OCTAVE, LadderCosts, Quantiser, TensorPart, rows_of
from .schedule import Schedule

# `_steer` moves the weight of the rate by the excess, rate / aim - 1, over the whole fit (GAIN) and at once (PUSH)
RATE_WEIGHT = 0.2  # the weight at the start
RATE_GAIN = 400.0  # change of ln(weight) over the whole fit per unit of excess
RATE_PUSH = 8.0  # shift of ln(weight) per unit of excess
RATE_WEIGHTS = 0.05, 20.0  # bounds of the weight
ROOM = 0.99  # part of the budget that the rate is steered to
PIXELS_A_STEP = 1 << 15  # a step takes as many frames as hold about so many pixels
MUON_RATE = 1.2e-2  # learning rate of matrices and convolutions, see optim.MuonAdam, for MUON_SIZE parameters
MUON_SIZE, MUON_FALL = 40e3, 0.4  # it falls with this power of the number of parameters, see `muon_rate`
ADAM_RATE = 6e-3  # learning rate of everything else
ADAM_ALONE = 3e-3, (0.9, 0.999)  # rate and averaging of Adam for everything, the optimiser of the published networks
OPTIMISERS = "muon", "adam"
STEP_RATE = 3e-2  # learning rate of the quantisation steps, in octaves
NOISE_FLOOR = 1e-7  # added to the squared error: a frame without error must not outweigh all others


@dataclass(frozen=True)
class Segment:
    """Consecutive frames of a group, uint8 (n, H, W, C), from frame `first` on, and the bits that they may take."""

    frames: Tensor
    first: int
    budget: float


Report = Callable[[FitStatus], None]
Measure = Callable[[dict[str, Tensor]], float]  # integers of all parts -> the bits that they take in the stream


def muon_rate(config: Config) -> float:
    """On training clips 1.2e-2 was best for 40 K parameters; with 350 K it lost 1.6 dB to 5e-3, or did not converge."""
    return float(MUON_RATE * (MUON_SIZE / size_of(config)) ** MUON_FALL)


def coded_parts(config: Config, frames: int) -> list[TensorPart]:
    """The decoder's tensors in the order of the stream, then the embeddings of `frames` frames, channels first."""
    parts = [TensorPart(name, shape, rows_of(name, shape, config)) for name, shape in shapes(config).items()]
    if config.has(CONTENT):
        parts.append(TensorPart(EMBEDDING, (config.embedding, frames, *config.grid), config.embedding))
    return parts


class Fit(nn.Module):
    """The networks of one group while they are fitted; the encoder and the optimiser's state are never coded."""

    def __init__(
        self,
        config: Config,
        ladder: LadderCosts,
        segment: Segment,
        measure: Measure,
        seed: int = 0,
        optimiser: str = "muon",
    ) -> None:
        super().__init__()
        self.config, self.measure, self.seed = config, measure, seed
        self.muon = optimiser == "muon"
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the accelerators, too
            self.decoder = NervDecoder(config)
            self.encoder = ContentEncoder(config) if config.has(CONTENT) else None
        self.quantiser = Quantiser(coded_parts(config, len(segment.frames)), ladder)
        self.to(segment.frames.device)
        self.base: dict[str, Tensor] | None = None  # integers of the segment before
        self.rounded, self.beside = False, 0.0  # bits of header and rungs, known when rounding starts
        self._open(segment)
        self._bf16 = multiplies_bf16(segment.frames.device.type)

    def _open(self, segment: Segment) -> None:
        self.segment = segment
        self.rate_weight, self.bits = RATE_WEIGHT, 0.0
        self.recent: deque[float] = deque(maxlen=len(segment.frames))
        size = max(1, PIXELS_A_STEP // (self.config.height * self.config.width_pixels))
        self.batch = min(size, max(1, len(segment.frames) // 4))
        if self.encoder is not None:
            shape = (len(segment.frames), self.config.embedding, *self.config.grid)
            self.seen = torch.zeros(shape, device=segment.frames.device)
        self.optimiser = MuonAdam(self._groups())

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters for the optimiser.  The steps of a later segment are those of the first."""
        matrices: list[Tensor] = []
        rest: list[Tensor] = []
        for name, parameter in [*self.decoder.named_parameters("decoder"), *self._encoder_parameters()]:
            full = parameter.dim() > 1 and min(parameter.shape[0], parameter[0].numel()) > 3
            (matrices if full and ".spread." not in name else rest).append(parameter)
        groups: list[dict[str, Any]]
        if self.muon:
            groups = [
                {"params": matrices, "lr": muon_rate(self.config), "optimiser": "muon"},
                {"params": rest, "lr": ADAM_RATE, "optimiser": "adam"},
            ]
        else:
            rate, betas = ADAM_ALONE
            groups = [{"params": [*matrices, *rest], "lr": rate, "betas": betas, "optimiser": "adam"}]
        if self.base is None:
            groups.append({"params": [self.quantiser.octaves], "lr": STEP_RATE, "optimiser": "adam"})
        return groups

    def _encoder_parameters(self) -> list[tuple[str, nn.Parameter]]:
        return [] if self.encoder is None else list(self.encoder.named_parameters("encoder"))

    @torch.no_grad()
    def next_segment(self, segment: Segment, integers: dict[str, Tensor], measure: Measure) -> None:
        """Go on with the frames of `segment`, from the integers that the decoder has before it; the steps stay."""
        self.measure = measure
        self.base = {}
        for name, parameter in self.decoder.named_parameters():
            self.base[name] = integers[name].float()
            parameter.copy_(self.base[name] * self.quantiser.step(name))
        self.quantiser.set_parts(coded_parts(self.config, len(segment.frames)))
        self._open(segment)

    @property
    def aim(self) -> float:
        """Bits of values that the rate is steered to."""
        return max(ROOM * self.segment.budget - self.beside, 0.1 * self.segment.budget)

    @property
    def steps_an_epoch(self) -> int:
        return -(-len(self.segment.frames) // self.batch)

    @property
    def psnr(self) -> float:
        """dB, mean over the frames fitted last."""
        return sum(self.recent) / max(1, len(self.recent))

    def run(self, schedule: Schedule, report: Report) -> None:
        """Fit until the schedule is done."""
        count, last = len(self.segment.frames), -1
        while not schedule.done:
            epoch, place = divmod(schedule.step, self.steps_an_epoch)
            if epoch != last:
                order = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed + epoch))
                last = epoch
            if not self.rounded and schedule.rounding:
                self.start_rounding()
            self.optimiser.schedule(schedule.learning_rate)
            self._step(order[place * self.batch : (place + 1) * self.batch].to(self.segment.frames.device), schedule)
            schedule.advance()
            report(self.status(schedule))

    def status(self, schedule: Schedule) -> FitStatus:
        epoch = max(0, schedule.step - 1) // self.steps_an_epoch
        return FitStatus(schedule.part, epoch, self.psnr, self.bits, schedule.spent)

    def _step(self, chosen: Tensor, schedule: Schedule) -> None:
        target = self._target(chosen)
        with torch.autocast(target.device.type, torch.bfloat16, enabled=self._bf16):
            embeddings = self._embed(target)
        weights, bits = self._weights()
        if embeddings is not None and self.rounded:
            self.seen[chosen] = embeddings.detach()
            embeddings, spent = self._round_embeddings(embeddings)
            bits = bits + spent * (len(self.segment.frames) / len(chosen))
        with torch.autocast(target.device.type, torch.bfloat16, enabled=self._bf16):
            painted = functional_call(self.decoder, weights, (chosen + self.segment.first, embeddings))
        error = (painted - target).square().mean((1, 2, 3)) + NOISE_FLOOR
        loss = error.log().mean()
        if self.rounded:
            loss = loss + self._steer(float(bits.detach()), schedule) * bits / self.aim
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.recent.extend((-10 * error.detach().log10()).tolist())

    def _target(self, chosen: Tensor) -> Tensor:
        """Frames as (B, C, H, W) in 0..1."""
        pixels = self.segment.frames[chosen].permute(0, 3, 1, 2).float() / 255
        return pixels.contiguous(memory_format=torch.channels_last)

    def _embed(self, target: Tensor) -> Tensor | None:
        """(B, embedding, h, w), float32."""
        if self.encoder is None:
            return None
        rows, columns = (side * self.config.stride for side in self.config.grid)
        spare = (0, columns - target.shape[3], 0, rows - target.shape[2])
        out: Tensor = self.encoder(F.pad(target - 0.5, spare, mode="replicate"))
        return out.float()

    def _weights(self) -> tuple[dict[str, Tensor], Tensor]:
        """The decoder's weights as they are or rounded, and the bits of the latter."""
        weights: dict[str, Tensor] = dict(self.decoder.named_parameters())
        bits = torch.zeros((), device=self.segment.frames.device)
        if self.rounded:
            for name, value in weights.items():
                weights[name], spent = self.quantiser(name, value, None if self.base is None else self.base[name])
                bits = bits + spent
        return weights, bits

    def _round_embeddings(self, embeddings: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (B, embedding, h, w) as decoded, and their bits on rungs chosen from all frames."""
        step = self.quantiser.step(EMBEDDING).detach()
        means = (self.seen / step).round().abs().mean((0, 2, 3))
        rounded, bits = self.quantiser(EMBEDDING, embeddings.transpose(0, 1), None, means)
        return rounded.transpose(0, 1), bits

    def _steer(self, bits: float, schedule: Schedule) -> float:
        """The rate's weight, moved so that the bits meet the budget."""
        self.bits = bits
        excess = min(max(bits / self.aim - 1, -0.1), 0.1)
        low, high = RATE_WEIGHTS
        self.rate_weight = min(max(self.rate_weight * math.exp(RATE_GAIN * excess * schedule.stride), low), high)
        return self.rate_weight * math.exp(RATE_PUSH * excess)

    # -- from real numbers to integers -------------------------------------------------------------------------------

    @torch.no_grad()
    def start_rounding(self) -> None:
        """Set steps with which the present weights and embeddings take the budget, less its side information."""
        tensors = self._tensors()
        low, high = -2.0, 16.0
        for _ in range(12):
            bits = (low + high) / 2
            self.quantiser.start(tensors, bits)
            spent = self._estimate(tensors)
            low, high = (bits, high) if spent < self.aim else (low, bits)
        self.beside = self.measure(self._round(tensors, 0)) - spent
        self.rounded = True

    def _estimate(self, tensors: dict[str, Tensor]) -> float:
        return sum(float(self.quantiser(name, tensor)[1]) for name, tensor in tensors.items())

    @torch.no_grad()
    def _tensors(self) -> dict[str, Tensor]:
        """Every part as real numbers, the embeddings of all frames made anew."""
        found: dict[str, Tensor] = dict(self.decoder.named_parameters())
        if self.encoder is not None:
            for chosen in torch.arange(len(self.segment.frames), device=self.segment.frames.device).split(self.batch):
                embeddings = self._embed(self._target(chosen))
                assert embeddings is not None
                self.seen[chosen] = embeddings
            found[EMBEDDING] = self.seen.transpose(0, 1)
        return found

    # -- state for resuming ------------------------------------------------------------------------------------------

    def state(self, schedule: Schedule) -> dict[str, Tensor]:
        """Everything that a later run needs to go on as if it had not stopped, timing aside."""
        found = {f"network.{name}": tensor for name, tensor in self.state_dict().items()}
        for k, parameter in enumerate(self._trained()):
            for key, value in self.optimiser.state[parameter].items():
                found[f"optimiser.{k}.{key}"] = torch.as_tensor(value)
        if self.encoder is not None:
            found["seen"] = self.seen
        found["recent"] = torch.tensor(list(self.recent), dtype=torch.float64)
        numbers = [schedule.step, schedule.spent, schedule.stride]
        numbers += [self.rounded, self.rate_weight, self.beside, self.bits]
        found["numbers"] = torch.tensor(numbers, dtype=torch.float64)
        return found

    @torch.no_grad()
    def resume(self, state: dict[str, Tensor], schedule: Schedule) -> None:
        """Take a state of the same segment.  The inverse of `state`."""
        self.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
        for k, parameter in enumerate(self._trained()):
            mine = {name: value for name, value in state.items() if name.startswith(f"optimiser.{k}.")}
            for name, value in mine.items():
                key = name.rpartition(".")[2]
                self.optimiser.state[parameter][key] = int(value) if key == "step" else value.to(parameter.device)
        if self.encoder is not None:
            self.seen.copy_(state["seen"])
        self.recent.extend(state["recent"].tolist())
        numbers = state["numbers"].tolist()
        step, schedule.spent, schedule.stride, rounded, self.rate_weight, self.beside, self.bits = numbers
        schedule.step, self.rounded = int(step), bool(rounded)

    def _trained(self) -> list[Tensor]:
        return [parameter for group in self.optimiser.param_groups for parameter in group["params"]]

    # -- the end -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def integers(self) -> dict[str, Tensor]:
        """int32 of every part, of at most the budget where that is possible at all.

        Bits beyond the budget are saved in two ways.  First, values near the middle between two integers are rounded
        towards zero.  Then steps grow, except in a later segment, whose steps are given.  Where bits are left, smaller
        steps would not help: the fit was made with these.
        """
        if not self.rounded:
            self.start_rounding()
        tensors, octaves = self._tensors(), self.quantiser.octaves.clone()

        def rounded(amount: int) -> dict[str, Tensor]:
            larger = max(0, amount - STEPS_PER_OCTAVE // 2)
            self.quantiser.octaves.copy_(octaves + larger / STEPS_PER_OCTAVE)
            return self._round(tensors, amount)

        if self.measure(rounded(0)) <= self.segment.budget:
            return rounded(0)
        low, high = 0, 16 * STEPS_PER_OCTAVE if self.base is None else STEPS_PER_OCTAVE // 2
        while high - low > 1:
            middle = min((low + high) // 2, low + STEPS_PER_OCTAVE // 4)
            if self.measure(rounded(middle)) > self.segment.budget:
                low = middle
            else:
                high = middle
        return rounded(high)

    def _round(self, tensors: dict[str, Tensor], amount: int) -> dict[str, Tensor]:
        """Integers of real tensors; `amount` 0..: how far the points of rounding lie beyond the middle, in 1/64."""
        beyond = min(amount / STEPS_PER_OCTAVE, 0.5)
        found: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            base = self.base[name] if self.base is not None and name in self.base else 0.0
            moved = tensor / self.quantiser.step(name) - base
            rounded = torch.floor(moved.abs() + 0.5 - beyond).clamp(min=0) * moved.sign()
            found[name] = (base + rounded).to(torch.int32)
        return found

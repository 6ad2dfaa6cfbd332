"""Small classifiers that measure how recognisable coded pictures are: a labelled set, training, accuracy."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tessera.codec.errors import FormatError

EPOCHS = 14
BATCH = 64
RATE = 3e-3  # learning rate of AdamW at its peak
SHIFT = 6  # training pictures move by at most 1 / SHIFT of a side


@dataclass(frozen=True)
class LabelledSet:
    """pixels uint8 (n, H, W, 3); labels int64 (n,); classes by label."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def read_set(path: Path, split: str) -> LabelledSet:
    """The files `split/CLASS/NAME` of a tar file, by name.  FormatError unless they are pictures of one size."""
    from PIL import Image

    found: list[tuple[str, NDArray[np.uint8]]] = []
    with tarfile.open(path) as tar:
        for member in sorted(tar.getmembers(), key=lambda item: item.name):
            parts = member.name.removeprefix("./").split("/")
            file = tar.extractfile(member) if len(parts) == 3 and parts[0] == split and member.isfile() else None
            if file is not None:
                with Image.open(io.BytesIO(file.read())) as image:
                    found.append((parts[1], np.asarray(image.convert("RGB"))))
    if not found or len({pixels.shape for _, pixels in found}) > 1:
        raise FormatError(f"{path}: no pictures {split}/CLASS/NAME, or of different sizes")
    classes = tuple(sorted({name for name, _ in found}))
    labels = np.array([classes.index(name) for name, _ in found], np.int64)
    return LabelledSet(np.stack([pixels for _, pixels in found]), labels, classes)


class ConvolutionBlock(nn.Module):
    """Two 3x3 convolutions beside a 1x1 one; (B, n, H, W) -> (B, m, H / stride, W / stride)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.past = nn.Conv2d(inside, outside, 1, stride, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outside) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norms[0](self.first(x)))
        result: Tensor = F.relu(self.norms[1](self.second(y)) + self.past(x))
        return result


def classifier(channels: int, side: int, classes: int, width: int = 24) -> nn.Sequential:
    """A small residual network that halves the sides down to about 6; (B, channels, side, side) -> (B, classes)."""
    large = side > 48
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, 2 if large else 1, 1, bias=False)]
    layers += [nn.BatchNorm2d(width), nn.ReLU()]
    side = (side + 1) // 2 if large else side
    while side > 6:
        layers.append(ConvolutionBlock(width, 2 * width, 2))
        width, side = 2 * width, (side + 1) // 2
    layers += [ConvolutionBlock(width, width, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]
    return nn.Sequential(*layers)


def train(inputs: Tensor, labels: Tensor, classes: int, *, epochs: int = EPOCHS, seed: int = 0) -> nn.Sequential:
    """A classifier of float (n, C, H, W) inputs, trained with mirrored and shifted copies; the same for equal seeds."""
    torch.manual_seed(seed)
    model = classifier(inputs.shape[1], inputs.shape[2], classes)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's overloads
    steps = epochs * -(-len(inputs) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            loss = F.cross_entropy(model(_varied(inputs[batch])), labels[batch], label_smoothing=0.1)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    model.eval()
    return model


def _varied(x: Tensor) -> Tensor:
    """Half of the batch mirrored, all of it shifted by the same few samples."""
    mirrored = torch.rand(len(x)) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    reach = x.shape[2] // (2 * SHIFT)
    down, right = (int(torch.randint(-reach, reach + 1, ())) for _ in range(2))
    return torch.roll(x, (down, right), (2, 3)).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of inputs whose label the model finds."""
    right = sum(int((model(x).argmax(1) == y).sum()) for x, y in zip(inputs.split(250), labels.split(250), strict=True))
    return right / len(labels)


def as_input(pixels: NDArray[np.uint8]) -> Tensor:
    """uint8 (n, H, W, 3) to float (n, 3, H, W) around 0."""
    return scaled(torch.from_numpy(pixels).permute(0, 3, 1, 2))


def scaled(pixels: Tensor) -> Tensor:
    """0..255 to what a classifier is given: float around 0."""
    return (pixels / 64).sub_(2)


def spearman(first: list[float], second: list[float]) -> float:
    """Rank correlation, ties at their mean rank; nan where one side does not vary."""
    a, b = (_ranks(np.asarray(values, float)) for values in (first, second))
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else float("nan")


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    less = (values[:, None] > values).sum(1)
    equal = (values[:, None] == values).sum(1)
    return np.asarray(less + (equal + 1) / 2)

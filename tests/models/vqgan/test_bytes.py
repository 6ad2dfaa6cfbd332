"""JPEG-LM (row 16): a small model of bytes learns indices at fixed length; the range coder leaves it nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import tessera
from tessera.data import procedural

TRAINING, HELD_OUT = 96, 32
STEPS, BATCH, RATE = 80, 32, 5e-3
BEGIN = 256


class ByteModel(nn.Module):
    """Two layers of causal attention over at most `length` bytes."""

    def __init__(self, length: int, width: int = 64) -> None:
        super().__init__()
        self.byte, self.place = nn.Embedding(257, width), nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 256)

    def bits(self, sequences: Tensor) -> Tensor:
        """Mean of -log2 p over the bytes of sequences (B, N), -1 behind their ends."""
        given = torch.cat([torch.full((len(sequences), 1), BEGIN), sequences[:, :-1].clamp(min=0)], 1)
        mask = nn.Transformer.generate_square_subsequent_mask(given.shape[1])
        seen = self.layers(self.byte(given) + self.place.weight[: given.shape[1]], mask=mask, is_causal=True)
        loss = F.cross_entropy(self.head(seen).flatten(0, 1), sequences.flatten(), ignore_index=-1)
        return loss / math.log(2)


def learnt(sequences: list[Tensor]) -> tuple[float, float]:
    """Bits a byte of the last HELD_OUT sequences: by a model of the others, and by a histogram of their own."""
    joined = nn.utils.rnn.pad_sequence([sequence.long() for sequence in sequences], True, -1.0)
    training, test = joined[:TRAINING], joined[TRAINING:]
    torch.manual_seed(0)
    model = ByteModel(joined.shape[1])
    optimiser = torch.optim.Adam(model.parameters())
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        optimiser.zero_grad()
        model.bits(training[torch.randint(0, TRAINING, (BATCH,))]).backward()
        optimiser.step()
    share = torch.bincount(test[test >= 0]).float() / (test >= 0).sum()
    with torch.no_grad():
        return float(model.bits(test)), float(-(share[share > 0] * share[share > 0].log2()).sum())


@pytest.mark.slow
def test_row_16_a_model_learns_packed_ids_and_nothing_of_the_payload() -> None:
    packed, payload = [], []
    for seed in range(TRAINING + HELD_OUT):
        with tessera.open(tessera.encode(procedural.picture(48, 48, seed=seed), codec="vqgan", quality=60)) as clip:
            packed.append(clip.tokens(kind="packed")[0])
            payload.append(torch.from_numpy(clip.payload(0).copy()))
    found, histogram = learnt(packed)
    assert found < 0.75 * histogram
    found, histogram = learnt(payload)
    assert histogram > 7.5 and found > 7.5

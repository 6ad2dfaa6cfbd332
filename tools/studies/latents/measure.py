"""`tessera evaluate latents SET.tar`: one small transformer, trained from scratch on latents and on pixels.

Every source gives the same number of tokens per picture; what differs is what a token holds:

    latents:NAME[:K][@Q]   the latents of a family's file, no pixels made; K channels of each cell, those of most
                           variance; Q the quality of the files where it is not that of all
    latents:NAME:firstK    the first K channels, which alone are decoded
    ids:NAME[@Q]           the codebook indices of a family's file, each looked up in a table that is learned with the
                           model; `latents` of such a family are the vectors of its own codebooks
    dct:K                  cosine coefficients of blocks of 8 x 8 of the picture's own pixels, K of each cell, those of
                           most variance: what is left of latents when nothing is learned and nothing is coded
    rgb[:SIDE]             patches of the picture's own pixels, resized to SIDE x SIDE first

The model, its steps and its seeds are the same for all; only its first layer fits the source.  Test pictures are
resized and coded as the training ones.  WaLLoC's claim is that latents are better input than pixels resized to as many
values (Jacobellis et al., 2024); `verdicts` gives the result here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tessera.tools.measuring import perception
from tessera.tools.measuring.rows import RowFile
from tessera.tools.studies.latents.classifier import accuracy, learn
from tessera.tools.studies.latents.rows import LatentsRow
from tessera.tools.studies.latents.settings import LatentsSettings
from tessera.tools.studies.latents.sources import Known, LatentSource, Material, material


@dataclass
class KnownRows:
    """The set, rows measured before, and files and grids of the source before."""

    digest: str
    there: RowFile[LatentsRow]
    before: Known


def measure(settings: LatentsSettings, origin: LatentSource, train: perception.LabelledSet,
            test: perception.LabelledSet, found: KnownRows) -> Iterator[LatentsRow]:  # fmt: skip
    """One row per seed; those that are there already are not measured again."""
    labels, wanted = torch.from_numpy(train.labels), torch.from_numpy(test.labels)
    given: Material | None = None
    head = (origin.name, origin.version, origin.setting, found.digest, settings.epochs)
    for seed in range(settings.seeds):
        key = (*head, settings.side**2, seed)
        known = next((row for row in found.there.rows if row.key == key), None)
        if known is not None:
            yield known
            continue
        if given is None:
            given = material(origin, train.pixels, test.pixels, settings.side, found.before)
        tokens, channels = given.test.shape[1:]
        model, rate = learn(given, labels, len(train.classes), epochs=settings.epochs, seed=seed)
        right = accuracy(model, given.test, wanted)
        row = LatentsRow(*head, seed, tokens, channels, tokens * channels, given.bytes, right, given.read_rate, rate)
        found.there.add(row)
        yield row

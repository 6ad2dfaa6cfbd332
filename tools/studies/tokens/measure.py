"""`tessera evaluate tokens`: every training-free reducer at equal budgets, judged by a model that answers questions.

Procedural clips of moving shapes are coded as .tsr files.  A very small vision-language model is trained from scratch
on their latents (whole clips and random parts of them) and kept in the report's folder.  It then answers questions
about other clips from the tokens that each method keeps at each budget, without further training.  Attention, where a
method needs it, is what the tokens receive in this model, measured in a pass over all of them; a query is the mean
latent of the cells that the named colours covered in training clips.  Nothing is tuned to a method.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

from tessera.data import shapes
from tessera.models.tokens import RECIPES, TokenSet, list_methods, reduce
from tessera.models.tokens.grid import TokenGrid
from tessera.tools import options
from tessera.tools.measuring import answering
from tessera.tools.measuring.answering import AnsweringModel
from tessera.tools.measuring.job import JobContext, subject, version_text
from tessera.tools.measuring.rows import RowFile, rewrite
from tessera.tools.peers.peer import Peer
from tessera.tools.studies.tokens.rows import Paired, TokensRow
from tessera.tools.studies.tokens.settings import TokensSettings

FIRST_TEST_SEED, FIRST_TRAINING_SEED = 0, 1_000_000
PART = 50  # clips that the model answers at a time
OURS = ("bits", "novelty")  # selections by bits: of the clip, and of each frame above its mean
RIVALS = ("random", "uniform", "l2", "temporal")  # selections that OURS are compared with


@dataclass
class QuestionedClip:
    """One test clip: its latents, what is asked and the queries (1 or 2, C) that go with the questions."""

    grid: TokenGrid
    words: Tensor
    answers: Tensor
    queries: list[Tensor]
    attention: Tensor | None = None


# -- the model ---------------------------------------------------------------------------------------------------------


def latents(clip: shapes.ShapeClip, settings: TokensSettings) -> TokenGrid:
    """The latents of a clip by way of a file."""
    import tessera

    with tessera.open(_peer(settings).encode(clip.pixels, settings.quality)) as opened:
        return opened.latents(bits_prior=True)


def _peer(settings: TokensSettings) -> Peer[Any, Any]:
    """The codec that is named, with its options."""
    return subject(JobContext("images", (settings.quality,)), settings.codec)


def answering_model(settings: TokensSettings, out: Path, quiet: bool) -> tuple[AnsweringModel, Tensor, float]:
    """The model, the mean latent of each colour (colours, C), CPU seconds of training; made unless `out` has them."""
    from safetensors.torch import load_file, save_file

    folder = out / f"reader-{settings.codec}-{settings.quality:g}-{settings.training_clips}-{settings.epochs}"
    file = folder / "prototypes.safetensors"
    if file.exists():
        tensors = load_file(file)
        return answering.load(folder / "reader.safetensors"), tensors["prototypes"], float(tensors["seconds"])
    lessons, prototypes = _lessons(settings, quiet)
    begun = time.process_time()
    with options.progress_bar("training", quiet=quiet) as progress:
        model = answering.train(lessons, epochs=settings.epochs, progress=progress)
    seconds = time.process_time() - begun
    folder.mkdir(parents=True, exist_ok=True)
    answering.save(model, folder)
    save_file({"prototypes": prototypes, "seconds": torch.tensor(seconds)}, file)
    return model, prototypes, seconds


def _lessons(settings: TokensSettings, quiet: bool) -> tuple[answering.Lessons, Tensor]:
    """Training clips as tensors, and the mean latent of the cells that each colour covers by more than half."""
    found: list[Tensor] = []
    questions: list[tuple[Tensor, Tensor]] = []
    places = tuple(shapes.COLOURS)
    total, cells = torch.zeros(len(places), 1), torch.zeros(len(places), 1)
    with options.progress_bar("coding clips", quiet=quiet) as progress:
        for number in range(settings.training_clips):
            clip = shapes.clip(FIRST_TRAINING_SEED + number, every=True)
            grid = latents(clip, settings)
            total = total.expand(-1, grid.x.shape[3]).clone() if number == 0 else total
            for shape, mask in zip(clip.shapes, _covered(clip.masks, grid.x.shape[1:3]), strict=True):
                total[places.index(shape.colour)] += grid.x[mask].sum(0)
                cells[places.index(shape.colour)] += mask.sum()
            found.append(grid.x.flatten(0, 2).half())
            questions.append(answering.encode_questions(clip.questions))
            if progress:
                progress(number + 1, settings.training_clips)
    lessons = answering.Lessons(torch.stack(found), reduce(grid, "uniform", 1.0).pos, *answering.padded(questions))
    return lessons, total / cells.clamp_min(1)


def _covered(masks: Any, raster: torch.Size) -> Tensor:
    """(shapes, T, h, w) bool: more than half of the cell is covered."""
    pooled = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(masks).float(), (raster[0], raster[1]))
    return pooled > 0.5


def questioned_clip(seed: int, settings: TokensSettings, prototypes: Tensor, model: AnsweringModel) -> QuestionedClip:
    """The clip of a seed by way of a file, and what the model is asked about it."""
    clip = shapes.clip(seed)
    grid = latents(clip, settings)
    words, answers = answering.encode_questions(clip.questions)
    names = list(shapes.COLOURS)
    queries = [prototypes[[names.index(name) for name in question.colours]] for question in clip.questions]
    whole = reduce(grid, "uniform", 1.0)
    return QuestionedClip(grid, words, answers, queries, model.attention(whole.x, whole.pos))


# -- measuring ---------------------------------------------------------------------------------------------------------


def methods(samples: Sequence[QuestionedClip]) -> list[dict[str, Any]]:
    """Registry entries that can run on these samples; recipes that are one method by another name are left out."""
    grid = samples[0].grid
    there = {"bits": grid.bits is not None, "bits_prior": grid.bits_prior is not None, "attn": True, "query": True}
    same = {name for name, recipe in RECIPES.items() if len(recipe.steps) == 1 and not recipe.steps[0][1]}
    entries = [entry for entry in list_methods() if entry["name"] not in same]
    return [entry for entry in entries if all(there[need] for need in entry["needs"]) and entry["name"] != "select"]


def measure(
    settings: TokensSettings, samples: Sequence[QuestionedClip], model: AnsweringModel, out: Path, quiet: bool = True
) -> tuple[list[TokensRow], dict[tuple[str, float], Tensor]]:
    """One row a method and budget, those that are there already not measured again; and whether each question was
    answered right by method and budget, of the methods that are compared question by question."""
    rows, right = [], {}
    quality = f"quality={settings.quality:g}"
    head = (settings.codec, version_text(_peer(settings)), quality, settings.training, settings.clips)
    work = [(entry, budget) for entry in methods(samples) for budget in settings.budgets]
    file = out / "tokens.csv"
    with options.progress_bar("reducing", quiet=quiet) as progress, RowFile(file, TokensRow) as there:
        known = {row.key: row for row in there.rows}
        for number, (entry, budget) in enumerate(work):
            row = known.get((*head, entry["name"], budget))
            if row is None or entry["name"] in (*OURS, *RIVALS):
                measured, right[entry["name"], budget] = measure_method(samples, model, entry, budget)
                if row is None:
                    row = TokensRow(*head, entry["name"], budget, *measured)
                    there.add(row)
            rows.append(row)
            if progress:
                progress(number + 1, len(work))
    rewrite(file, there.rows, TokensRow)
    return rows, right


def measure_method(
    samples: Sequence[QuestionedClip], model: AnsweringModel, entry: dict[str, Any], budget: float
) -> tuple[tuple[Any, ...], Tensor]:
    """One method at one budget: the fields of its row from `primitive` on, and (questions,) bool right answers in the
    order of the samples."""
    sets: list[TokenSet] = []
    asked: list[tuple[Tensor, Tensor]] = []
    times: list[float] = []
    for sample in samples:
        parts = [slice(k, k + 1) for k in range(len(sample.words))] if entry["query_dependent"] else [slice(None)]
        begun = time.process_time()
        for part in parts:
            query = sample.queries[part.start] if entry["query_dependent"] else None
            sets.append(reduce(sample.grid, entry["name"], budget, query=query, attn=sample.attention))
            asked.append((sample.words[part], sample.answers[part]))
        times.append((time.process_time() - begun) / len(parts))
    begun = time.process_time()
    answered = torch.cat([_answers(model, sets[k : k + PART], asked[k : k + PART]) for k in range(0, len(sets), PART)])
    seconds = time.process_time() - begun
    kinds = torch.cat([words[:, 0] for words, _ in asked])
    by_kind = [round(float(answered[kinds == k].float().mean()), 6) for k in range(len(shapes.KINDS))]
    said = (entry["primitive"], entry["mechanism"], entry["axis"], " ".join(entry["needs"]))
    spent = (round(1000 * median(times), 3), round(1000 * seconds / len(sets), 3))
    return (*said, round(fmean(map(len, sets)), 2), *by_kind, round(fmean(by_kind), 6), *spent), answered


def _answers(model: AnsweringModel, sets: Sequence[TokenSet], asked: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """(questions,) bool."""
    most = max(map(len, sets))
    x = torch.zeros(len(sets), most, sets[0].x.shape[1])
    pos, size = torch.zeros(len(sets), most, 3), torch.zeros(len(sets), most)
    for number, tokens in enumerate(sets):
        x[number, : len(tokens)], pos[number, : len(tokens)] = tokens.x, tokens.pos
        size[number, : len(tokens)] = tokens.size
    words, answers = answering.padded(asked)
    found = answering.answer(model, answering.QuestionBatch(x, pos, size, words, answers))
    return found[answers >= 0]


def blind(samples: Sequence[QuestionedClip]) -> dict[str, float]:
    """Accuracy of the commonest answer to each kind of question: the baseline of a method."""
    kinds = torch.cat([sample.words[:, 0] for sample in samples])
    answers = torch.cat([sample.answers for sample in samples])
    found = {}
    for number, kind in enumerate(shapes.KINDS):
        given = answers[kinds == number]
        found[kind] = float(torch.bincount(given).max() / max(1, len(given))) if len(given) else 0.0
    return {**found, "accuracy": fmean(found.values())}


def compare(right: dict[tuple[str, float], Tensor], samples: Sequence[QuestionedClip]) -> list[Paired]:
    """Each of OURS beside RIVALS, question by question; the interval comes from the spread over clips."""
    found = []
    clips = torch.repeat_interleave(torch.arange(len(samples)), torch.tensor([len(s.words) for s in samples]))
    budgets = [budget for budget in dict.fromkeys(budget for _, budget in right) if budget < 1]
    for name, budget, rival in itertools.product(OURS, budgets, RIVALS):
        if (name, budget) not in right or (rival, budget) not in right:
            continue
        ours, theirs = right[name, budget].float(), right[rival, budget].float()
        by_clip = torch.zeros(len(samples)).index_add_(0, clips, ours - theirs)
        difference = float((ours - theirs).mean())
        error = 1.96 * float(by_clip.std()) * len(samples) ** 0.5 / len(ours)
        found.append(Paired(name, rival, budget, float(ours.mean()), float(theirs.mean()), difference,
                            difference - error, difference + error))  # fmt: skip
    return found

"""The study from end to end: training, search, report.

Written to the report's folder: `retrieval.csv` (a row for each way of search and number of frames), a plot and
`index.html`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tessera.codec.errors import ParameterError
from tessera.tools import options
from tessera.tools.measuring.job import JobContext, subject
from tessera.tools.measuring.rows import rewrite
from tessera.tools.measuring.settings import DEFAULT_RUN, Run
from tessera.tools.studies.retrieval import page
from tessera.tools.studies.retrieval.measure import different_clips, make_library, measure, train
from tessera.tools.studies.retrieval.rows import RetrievalResult, RetrievalRow
from tessera.tools.studies.retrieval.settings import RetrievalSettings
from tessera.tools.studies.tokens.measure import FIRST_TRAINING_SEED


def evaluate(settings: RetrievalSettings, paths: Sequence[Path], out: Path, run: Run = DEFAULT_RUN) -> RetrievalResult:
    """Train two towers, search with them, and write the report to `out`.

    Args:
        paths: none; the study makes its clips.
        out: folder of the report, made if there is none.
    """
    if paths:
        raise ParameterError("evaluate retrieval makes its clips: it takes no PATH")
    peer = subject(JobContext("images", (settings.quality,)), settings.codec)
    out.mkdir(parents=True, exist_ok=True)
    with options.progress_bar("coding clips", quiet=run.quiet) as progress:
        seeds = range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + settings.training_clips)
        lessons = make_library(seeds, peer, progress)
    searched = make_library(different_clips(settings.clips), peer)
    begun = time.process_time()
    with options.progress_bar("training", quiet=run.quiet) as progress:
        model = train(lessons, epochs=settings.epochs, progress=progress)
    seconds = time.process_time() - begun
    rows = measure(settings, peer, model, searched)
    rewrite(out / "retrieval.csv", rows, RetrievalRow)
    result = RetrievalResult(rows, seconds)
    page.write(out, result, run.described(settings))
    return result


def print_tables(result: RetrievalResult) -> None:
    """Recall by way of search and number of frames."""
    print(options.text_table(*page.by_frames(result.rows), left=2))

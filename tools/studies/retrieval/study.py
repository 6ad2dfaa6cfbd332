"""The study from end to end: training, search, report."""

from __future__ import annotations

import argparse
import time
from typing import Any

from tessera.tools import options
from tessera.tools.measuring.job import Context, subject, version_text
from tessera.tools.measuring.rows import rewrite
from tessera.tools.studies.retrieval.measure import FRAMES, _different, _library, ranks, train
from tessera.tools.studies.retrieval.rows import RANKS, RetrievalRow
from tessera.tools.studies.tokens.measure import FIRST_TRAINING_SEED


def evaluate(args: argparse.Namespace) -> dict[str, Any]:
    """Train, search, write retrieval.csv, a plot and index.html to `args.out`; return what they hold."""
    from tessera.tools.studies.retrieval import page as retrieval_page

    codec, quality = args.codecs[0] if args.codecs else "wavelet", args.qualities[0] if args.qualities else 50.0
    peer = subject(Context("images", (quality,)), codec)
    with options.progress_bar("coding clips", quiet=args.json) as progress:
        lessons = _library(range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + args.clips), peer, progress)
    searched = _library(_different(args.images or 200), peer)
    begun = time.process_time()
    with options.progress_bar("training", quiet=args.json) as progress:
        model = train(lessons, epochs=args.epochs, progress=progress)
    seconds = time.process_time() - begun
    head = (codec, version_text(peer), f"quality={quality:g}", f"{args.clips} clips x {args.epochs}", len(searched.x))
    rows = []
    for frames in FRAMES:
        for way, found in ranks(model, searched, frames).items():
            first, fifth, tenth = (float((found <= rank).float().mean()) for rank in RANKS)
            rows.append(RetrievalRow(*head, frames, way, first, fifth, tenth, float(found.median())))
    rewrite(args.out / "retrieval.csv", rows, RetrievalRow)
    result = {"rows": rows, "training_seconds": seconds}
    retrieval_page.write(args.out, result)
    return result


def print_tables(result: dict[str, Any]) -> None:
    from tessera.tools.studies.retrieval import page as retrieval_page

    print(options.text_table(*retrieval_page.by_frames(result["rows"]), left=2))

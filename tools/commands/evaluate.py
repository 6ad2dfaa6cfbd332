"""`tessera evaluate images|video|machine|latents|tokens|retrieval|extreme [PATH...] --out REPORT/`: codecs compared.

Written to the report's folder: `results.csv` (one row a source and setting), `summary.csv` (means over the sources),
`bdrate.csv`, a plot a metric, and `index.html`, which shows them all and compares pictures with a slider.  Rows that
are there already, of the same file and the same version of the codec, are not measured again, so an interrupted run
goes on where it stopped.  `machine` measures what a classifier still sees, `latents` what a transformer learns from
latents and from pixels, `tokens` what each reducer leaves of them, `retrieval` how well words find clips, `extreme` the
lowest rates; see the rooms of `tools/studies`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tessera.codec.defaults import CODEC
from tessera.tools import options

if TYPE_CHECKING:
    from tessera.tools.measuring.job import Context
    from tessera.tools.measuring.rows import Row
    from tessera.tools.report.slider import Scene

KINDS = ("images", "video", "machine", "latents", "tokens", "retrieval", "extreme")
MAKES_CLIPS = ("tokens", "retrieval")
QUALITIES = {
    "images": (5, 15, 25, 35, 45, 55, 65, 75, 85, 95),
    "video": (10, 25, 40, 55, 70, 85),
    "machine": (5, 10, 20, 30, 40, 50, 70, 90),
}
PEERS = {"images": "jpeg,webp,avif", "video": "x264,x265,svtav1", "machine": "jpeg,webp"}  # beside the default codec
RATES = {"images": [0.2, 0.7], "video": [0.3]}


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name for name in text.split(",") if name))


def _numbers(low: float, high: float) -> Callable[[str], list[float]]:
    return lambda text: [options.number(low, high)(item) for item in _names(text)]


def _size(text: str) -> tuple[int, int]:
    from tessera.tools.measuring import video

    return video.size(text)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=KINDS, help="what is evaluated")
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="files, or folders of them; `tokens`, `retrieval`: none"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="REPORT/", help="folder of the report")
    parser.add_argument(
        "--codecs", type=_names, metavar="A,B@key=value",
        help=f"families and other codecs, with options (default: {CODEC} and, of images, {PEERS['images']}; of video, "
        f"{PEERS['video']}; of machine, {PEERS['machine']}). "
        "Pictures also: jpegxl, hevc, vvc, compressai:NAME[@Q], published:NAME",
    )  # fmt: skip
    parser.add_argument("--references", type=_names, metavar="A,B", help="compute BD-rates against (default: all)")
    parser.add_argument(
        "--curves", type=Path, action="append", default=[], metavar="CSV",
        help="curves of the same pictures, columns codec,bpp,psnr_rgb[,msssim_db]; used if named in --references",
    )  # fmt: skip
    parser.add_argument("--qualities", type=_numbers(0, 100), metavar="5,15,...", help="of families")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="measurements at a time")
    parser.add_argument("--resize", type=_size, metavar="WxH", help="of video: scale clips down first (Lanczos)")
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FOLDER",
        help="of video: keeps the states of fits, and an interrupted command goes on from them",
    )  # fmt: skip
    parser.add_argument("--msssim-every", type=int, default=8, metavar="N", help="frames of clips (default 8)")
    parser.add_argument("--pictures", type=int, default=2, metavar="N", help="of the slider (default 2, 0: no slider)")
    parser.add_argument(
        "--rates", type=_numbers(0.001, 100), metavar="0.2,0.7", help="of the slider, of `extreme`, bpp"
    )
    machine = parser.add_argument_group("of `machine` and `latents`, which take one tar file of labelled pictures")
    machine.add_argument("--images", type=int, default=0, metavar="N", help="test pictures (default: all)")
    machine.add_argument("--epochs", type=int, default=14, metavar="N", help="of training the classifier")
    machine.add_argument("--latents", action="store_true", help="also learn from the latents of families")
    machine.add_argument("--retrain", action="store_true", help="also learn from coded pictures (slow)")
    machine.add_argument(
        "--retrain-at", type=_numbers(0, 100), metavar="10,30", help="the same, at these settings of each codec alone"
    )
    machine.add_argument(
        "--sources",
        type=_names,
        metavar="A,B",
        help="of `latents`: latents:NAME[:CHANNELS][@QUALITY], latents:NAME:firstCHANNELS[@QUALITY], "
        "ids:NAME[@QUALITY] and rgb[:SIDE]",
    )
    machine.add_argument("--side", type=int, default=6, metavar="N", help="of `latents`: N x N tokens a picture")
    machine.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings a source (default 3)")
    tokens = parser.add_argument_group("of `tokens` and `retrieval`, which make their clips; --images is their number")
    tokens.add_argument("--clips", type=int, default=3000, metavar="N", help="training clips")
    tokens.add_argument("--budgets", type=_numbers(0.001, 1), metavar="1,0.5,...", help="shares of the tokens")
    parser.add_argument("--device", default="cpu", metavar="cpu|cuda")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from tessera.codec.errors import ParameterError

    options.need_packages(("bjontegaard", "matplotlib", "pytorch_msssim"), "eval")
    if bool(args.paths) == (args.kind in MAKES_CLIPS):
        raise ParameterError(f"evaluate {args.kind} takes {'no PATH' if args.paths else 'at least one PATH'}")
    if args.resize and args.kind != "video":
        raise ParameterError("--resize is of video")
    if args.checkpoint and args.kind != "video":
        raise ParameterError("--checkpoint is of video")
    if args.kind in ("latents", "extreme", *MAKES_CLIPS):
        return _tokens(args)
    if args.kind == "machine":
        return _machine(args)
    with _sources(args) as paths:
        return _report(args, paths)


def _tokens(args: argparse.Namespace) -> int:
    from tessera.tools.studies.extreme import study as extreme
    from tessera.tools.studies.latents import measure as tokens_study
    from tessera.tools.studies.retrieval import measure as retrieval
    from tessera.tools.studies.tokens import measure as tokens

    _check_counts(args, "epochs", "seeds", "clips", "side", "jobs")
    module = {"tokens": tokens, "retrieval": retrieval, "latents": tokens_study, "extreme": extreme}[args.kind]
    args.out.mkdir(parents=True, exist_ok=True)
    result = module.evaluate(args)
    if args.json:
        options.print_json(result)
    else:
        module.print_tables(result)
        print(f"report: {args.out / 'index.html'}")
    return 0


def _machine(args: argparse.Namespace) -> int:
    from tessera.codec.errors import ParameterError
    from tessera.tools.measuring import job as jobs
    from tessera.tools.measuring import metrics, perception
    from tessera.tools.studies.machine import measure as machine
    from tessera.tools.studies.machine.page import MachineStudy, print_tables, write

    _check_counts(args, "jobs", "epochs")
    if len(args.paths) != 1 or not args.paths[0].is_file():
        raise ParameterError("evaluate machine takes one tar file of pictures train/CLASS/NAME and test/CLASS/NAME")
    codecs = args.codecs or _usual("machine")
    context = jobs.Context("images", tuple(args.qualities or QUALITIES["machine"]), args.device)
    peers = [jobs.subject(context, name) for name in codecs]
    test = perception.read_set(args.paths[0], "test")
    at = tuple(args.retrain_at or ())
    asked = machine.Asked(args.paths[0], args.images, args.epochs, args.retrain or bool(at), args.latents, at)
    args.out.mkdir(parents=True, exist_ok=True)
    with options.progress_bar("measuring", quiet=args.json) as progress:
        clean, rows, failures = machine.measure(context, codecs, asked, args.out, workers=args.jobs, progress=progress)
    notes = [note for note in (_small(test.pixels.shape[1]), metrics.why_no_lpips()) if note]
    count = min(args.images or len(test.labels), len(test.labels))
    chance = 1 / len(test.classes)
    study = MachineStudy(_command(), args.paths[0].name, count, chance, clean, peers, rows, failures, notes)
    result = write(args.out, study)
    if args.json:
        options.print_json(result)
    else:
        print_tables(result)
        print(f"report: {args.out / 'index.html'}")
    return 0


def _small(side: int) -> str:
    from tessera.tools.measuring.metrics import MS_SSIM_SIDE

    if side >= MS_SSIM_SIDE:
        return ""
    return f"MS-SSIM needs {MS_SSIM_SIDE} pixels a side, the pictures have {side}: SSIM stands in for it"


def _check_counts(args: argparse.Namespace, *names: str) -> None:
    from tessera.codec.errors import ParameterError

    for name in names:
        if getattr(args, name) < 1:
            raise ParameterError(f"--{name.replace('_', '-')}: at least 1")


def _report(args: argparse.Namespace, paths: list[Path]) -> int:
    from tessera.tools.measuring import job as jobs
    from tessera.tools.measuring.bdrate import PUBLISHED
    from tessera.tools.studies.rate import measure as rate
    from tessera.tools.studies.rate.curves import Study, published, read_curves
    from tessera.tools.studies.rate.study import check_references, print_tables, write

    _check_counts(args, "jobs", "msssim_every")
    names = args.codecs or _usual(args.kind)
    codecs = [name for name in names if not name.startswith(PUBLISHED)]
    qualities = tuple(args.qualities or QUALITIES[args.kind])
    context = jobs.Context(args.kind, qualities, args.device, args.msssim_every, args.checkpoint)
    peers = [jobs.subject(context, name) for name in codecs]
    references = args.references or names
    extra = read_curves(args.curves, references) | published([*names, *references], paths)
    check_references(references, [*codecs, *extra])
    args.out.mkdir(parents=True, exist_ok=True)
    with options.progress_bar("measuring", quiet=args.json) as progress:
        rows, failures = rate.measure(
            context, codecs, paths, args.out / "results.csv", workers=args.jobs, progress=progress
        )
    scenes, absent = _scenes(args, context, codecs, rows, paths)
    notes = [*_notes(args), *absent]
    study = Study(args.kind, _command(), peers, rows, failures, extra, references, notes)
    result = write(args.out, study, scenes)
    if args.json:
        options.print_json(result)
    else:
        print_tables(result)
        print(f"report: {args.out / 'index.html'}")
    return 0


def _usual(kind: str) -> list[str]:
    """The codecs that are measured where none are named."""
    return [CODEC, *PEERS[kind].split(",")]


@contextmanager
def _sources(args: argparse.Namespace) -> Iterator[list[Path]]:
    """The files to measure; with `--resize` copies that live as long as the measurement."""
    from tessera.tools.measuring import pictures, video

    if args.kind == "images":
        yield pictures.find_files(args.paths)
        return
    clips = pictures.find_files(args.paths, video.SUFFIXES, "clip")
    if args.resize is None:
        yield clips
        return
    with tempfile.TemporaryDirectory() as folder:
        yield [video.scaled(path, args.resize, Path(folder)) for path in clips]


def _notes(args: argparse.Namespace) -> list[str]:
    """Lines that a reader must know beside the figures."""
    from tessera.tools.measuring import metrics

    notes = [metrics.why_no_lpips()]
    if args.resize:
        width, height = args.resize
        notes.append(f"Clips are scaled down to {width}x{height} first; this is what all codecs are given")
    if args.kind == "video" and args.msssim_every > 1:
        notes.append(f"MS-SSIM of a clip is the mean over frames 0, {args.msssim_every}, {2 * args.msssim_every}, ...")
    return [note for note in notes if note]


def _scenes(args: argparse.Namespace, context: Context, codecs: list[str], measured: list[Row], paths: list[Path]
            ) -> tuple[list[Scene], list[str]]:  # fmt: skip
    """Of the slider: `--pictures` sources, spread over those that were measured whole; and what is absent."""
    from tessera.tools.studies.rate import scenes
    from tessera.tools.studies.rate.curves import comparable

    rows, left_out = comparable(measured)
    whole = [path for path in paths if path.name not in left_out]
    count = min(args.pictures, len(whole))
    chosen = [whole[(2 * index + 1) * len(whole) // (2 * count)] for index in range(count)]
    if not chosen:
        return [], []
    return scenes.make(context, codecs, rows, chosen, args.rates or RATES[args.kind], args.jobs)


def _command() -> str:
    return shlex.join(["tessera", *sys.argv[1:]])

"""`tessera evaluate images PATH... --out REPORT/`: rate and quality beside other codecs.

Written to the report's folder: `rows.csv` (one row a picture and setting), `summary.csv` (means over the pictures),
`bdrate.csv`, `psnr.png`, `msssim.png` and `index.html`, which shows them all.  Rows that are there already, of the same
picture and the same version of the codec, are not measured again, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tessera.tools import options

QUALITIES = (5, 15, 25, 35, 45, 55, 65, 75, 85, 95)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _qualities(text: str) -> list[float]:
    return [options.number(0, 100)(item) for item in _names(text)]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=("images",), help="what PATH holds")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="pictures, or folders of pictures")
    parser.add_argument("--out", required=True, type=Path, metavar="REPORT/", help="folder of the report")
    parser.add_argument(
        "--codecs", type=_names, default=["wavelet", "jpeg", "webp", "avif"], metavar="A,B",
        help="families of `tessera codecs`, and jpeg, webp, avif, jpegxl (default wavelet,jpeg,webp,avif)",
    )  # fmt: skip
    parser.add_argument(
        "--references", type=_names, metavar="A,B", help="curves to compute BD-rates against (default: all codecs)"
    )
    parser.add_argument(
        "--curves", type=Path, action="append", default=[], metavar="CSV",
        help="curves of the same pictures, columns codec,bpp,psnr_rgb[,msssim_db]; used if named in --references",
    )  # fmt: skip
    parser.add_argument("--qualities", type=_qualities, default=list(QUALITIES), metavar="5,15,...", help="of families")
    parser.add_argument("--device", default="cpu", metavar="cpu|cuda")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    options.need_packages(("bjontegaard", "matplotlib", "pytorch_msssim"), "eval")
    from tessera.tools import evaluate_images, report

    pictures = evaluate_images.find_pictures(args.paths)
    codecs = [evaluate_images.subject(name, args.qualities, args.device) for name in args.codecs]
    references = args.references or args.codecs
    extra = report.read_curves(args.curves, references)
    report.check_references(references, [*args.codecs, *extra])
    args.out.mkdir(parents=True, exist_ok=True)
    with options.progress_bar("measuring", quiet=args.json) as progress:
        rows = evaluate_images.measure(pictures, codecs, args.out / "rows.csv", progress)
    result = report.write(args.out, codecs, rows, references, extra)
    if args.json:
        options.print_json(result)
    else:
        report.print_tables(result)
        print(f"report: {args.out / 'index.html'}")
    return 0

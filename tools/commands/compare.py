"""`tessera compare A B [C ...]`: one HTML page with a slider between pictures, or between codecs on one picture.

A, B are pictures, clips or .tsr files of equal size, or, with --original, also codecs such as `wavelet` or
`avif@speed=6`: these are run on the original at the size of the first file among A, B, or at --bpp.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.tools import options

if TYPE_CHECKING:
    from tessera.codec.media.types import Pixels
    from tessera.tools.report.slider import Shot


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("items", nargs="+", metavar="A B", help="files; with --original also codecs")
    parser.add_argument("--original", type=Path, metavar="PICTURE", help="what they were made from")
    parser.add_argument("--bpp", type=options.number(0.001, 100), metavar="X", help="rate for codecs (default 0.5)")
    parser.add_argument("--frame", type=int, default=0, metavar="N", help="of clips (default 0)")
    parser.add_argument("--out", type=Path, default=Path("compare.html"), metavar="PAGE", help="default compare.html")
    parser.add_argument("--force", action="store_true", help="overwrite the page if it exists")


def run(args: argparse.Namespace) -> int:
    from tessera.codec.errors import ParameterError
    from tessera.tools.report import slider

    if len(args.items) < 2:
        raise ParameterError("compare takes two or more files or codecs")
    if args.out.exists() and not args.force:
        raise ParameterError(f"{args.out} exists; --force overwrites it")
    original = None if args.original is None else _pixels(args.original, args.frame)
    size = next((Path(item).stat().st_size for item in args.items if Path(item).is_file()), None)
    made = [_item(item, original, size if args.bpp is None else None, args) for item in args.items]
    shapes = {pixels.shape[:2] for _, pixels in made} | ({original.shape[:2]} if original is not None else set())
    if len(shapes) > 1:
        raise ParameterError("the pictures differ in size: " + ", ".join(f"{w}x{h}" for h, w in sorted(shapes)))
    shots: list[Shot] = [shot for shot, _ in made]
    reference = made[0][1] if original is None else original
    if original is not None:
        shots.insert(0, slider.shot("original", args.original.name, original))
    height, width = reference.shape[:2]
    title = (args.original or Path(args.items[0])).stem
    scene = slider.Scene(title, "", width, height, slider.focus(reference), shots)
    lead = f"{width} x {height}. " + ("Left and right may be any of: " + ", ".join(shot.name for shot in shots) + ".")
    args.out.write_text(slider.page(f"Compare: {title}", lead, [scene]), encoding="utf-8")
    print(args.out)
    return 0


def _item(item: str, original: Pixels | None, size: int | None, args: argparse.Namespace) -> tuple[Shot, Pixels]:
    """The shot and pixels of a file, or of a codec run on the original."""
    from tessera.codec.errors import ParameterError
    from tessera.tools.report import slider

    path = Path(item)
    if path.is_file():
        pixels = _pixels(path, args.frame)
        figures = f"{path.stat().st_size:,} bytes{_psnr(original, pixels)}"
        return slider.shot(path.name, figures, pixels), pixels
    if original is None:
        raise ParameterError(f"{item}: no such file; a codec needs --original PICTURE to work on")
    setting, data, decoded = _code(item, original, size or round((args.bpp or 0.5) * original[..., 0].size / 8))
    bpp = 8 * len(data) / original[..., 0].size
    figures = f"{setting}: {len(data):,} bytes, {bpp:.3f} bpp{_psnr(original, decoded)}"
    return slider.shot(item, figures, decoded), decoded


def _code(spec: str, original: Pixels, target: int) -> tuple[str, bytes, Pixels]:
    """The setting, the file and the decoded picture of the codec `spec` at the size nearest to `target` bytes."""
    from tessera.tools.measuring import job as jobs
    from tessera.tools.studies.rate import scenes

    context = jobs.JobContext("images", (2, 10, 20, 30, 40, 50, 60, 70, 80, 90, 98))
    codec: Any = jobs.subject(context, spec)
    known = tuple((setting, len(codec.encode(original, setting))) for setting in codec.settings)
    setting, data = scenes.nearest(codec, original, target, known, trials=6)
    return jobs.setting_text(codec, round(setting, 2)), data, codec.decode(data)


def _psnr(original: Pixels | None, pixels: Pixels) -> str:
    from tessera.tools.measuring import metrics

    if original is None or original.shape != pixels.shape:
        return ""
    return f", {metrics.psnr(original, pixels):.2f} dB"


def _pixels(path: Path, frame: int) -> Pixels:
    """Frame `frame` of a picture, clip or .tsr file, uint8 (H, W, 3)."""
    import tessera
    from tessera.codec.errors import ParameterError
    from tessera.codec.media import open_source

    if path.suffix == ".tsr":
        with tessera.open(path) as clip:
            if not 0 <= frame < len(clip):
                raise ParameterError(f"{path} has no frame {frame}")
            pixels = clip[frame][..., :3]
    else:
        with open_source(str(path)) as source:
            found = next(iter(source.frames(frame, frame + 1)), None)
            if found is None:
                raise ParameterError(f"{path} has no frame {frame}")
            pixels = found.pixels
    return pixels if pixels.shape[2] == 3 else pixels[..., :1].repeat(3, axis=2)

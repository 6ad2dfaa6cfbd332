"""`tessera demo [PATH]`: codes a picture or clip, prints what it cost, and draws it beside the original.

Without PATH it makes a picture and a moving clip itself.  Everything goes to one folder: the inputs it made, the .tsr
files, what they decode to, and one side-by-side PNG each.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tessera.codec.options import EncodeOptions
from tessera.codec.ranges import FrameRange, bounds
from tessera.tools import options

if TYPE_CHECKING:
    from tessera.codec.media.types import Pixels

PICTURE = (512, 768)  # height, width
CLIP = (48, 288, 512)  # frames, height, width
USER_FRAMES = 100  # frames that are coded of a user's clip, unless --frames says otherwise


@dataclass(frozen=True)
class DemoOutcome:
    """What coding one file gave.  `psnr` is the mean of the frames' PSNRs in dB; times are seconds."""

    source: str
    coded: str
    decoded: str
    side_by_side: str
    frames: int
    width: int
    height: int
    bytes: int
    bpp: float
    psnr: float
    encode_seconds: float
    decode_seconds: float
    codec: str
    quality: float


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", nargs="?", type=Path, metavar="PATH", help="a picture or video of yours")
    parser.add_argument("--out", type=Path, default=Path("tessera-demo"), metavar="FOLDER", help="default tessera-demo")
    parser.add_argument(
        "--codec", default=EncodeOptions.codec, metavar="NAME", help="a codec family (see `tessera codecs`)"
    )
    parser.add_argument(
        "--frames", type=options.frame_range, default=(0, USER_FRAMES), metavar="A:B",
        help=f"frames A up to but not including B (default 0:{USER_FRAMES})",
    )  # fmt: skip
    options.add_rate(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    args.out.mkdir(parents=True, exist_ok=True)
    sources = _make(args.out) if args.path is None else [args.path]
    outcomes = [_code(source, args) for source in sources]
    if args.json:
        options.print_json(outcomes[0] if args.path else outcomes)
    else:
        _print(outcomes)
    return 0


def _make(folder: Path) -> list[Path]:
    """Write the procedural picture and clip to `folder`."""
    from PIL import Image

    from tessera.codec import media
    from tessera.data import procedural

    picture, clip = folder / "picture.png", folder / "clip.mkv"
    Image.fromarray(procedural.picture(*PICTURE)).save(picture)
    with media.from_array(procedural.clip(*CLIP), Fraction(25)) as source:
        media.write_media(str(clip), clip.suffix, source.media, source.frames(), lossless=True)
    return [picture, clip]


def _code(source: Path, args: argparse.Namespace) -> DemoOutcome:
    """Encode, decode, compare and draw one file."""
    from tessera.codec import files

    stem = source.stem or source.name
    coded = args.out / f"{stem}.tsr"
    with options.progress_bar(f"encoding {source.name}", quiet=args.json) as progress:
        chosen = options.chosen(EncodeOptions, args, progress=progress)
        encoded = files.encode_file(str(source), str(coded), chosen, force=True)
    decoded = args.out / (f"{stem}-decoded.png" if encoded.frames == 1 else f"{stem}-decoded.mp4")
    with options.progress_bar(f"decoding {coded.name}", quiet=args.json) as progress:
        report = files.decode_file(str(coded), str(decoded), force=True, progress=progress)
    psnr, original, result = _compare(source, coded, args.frames, encoded.frames // 2)
    sheet = args.out / f"{stem}-side-by-side.png"
    _draw(sheet, source.name, encoded, psnr, original, result)
    return DemoOutcome(
        source=str(source),
        coded=str(coded),
        decoded=str(decoded),
        side_by_side=str(sheet),
        frames=encoded.frames,
        width=encoded.width,
        height=encoded.height,
        bytes=encoded.bytes,
        bpp=encoded.bpp,
        psnr=psnr,
        encode_seconds=encoded.seconds,
        decode_seconds=report.seconds,
        codec=encoded.codec,
        quality=encoded.quality,
    )


def _compare(source: Path, coded: Path, frames: FrameRange, keep: int) -> tuple[float, Pixels, Pixels]:
    """The mean PSNR of the coded frames in dB, and frame `keep` before and after."""
    from statistics import fmean

    import tessera
    from tessera.codec import media
    from tessera.tools.measuring import metrics

    values: list[float] = []
    kept: tuple[Any, Any] | None = None
    with media.open_source(str(source)) as before, tessera.open(str(coded)) as after:
        pairs = zip(before.frames(*bounds(frames)), after.frames(0, len(after)), strict=False)
        for index, (original, result) in enumerate(pairs):
            pixels = result[..., : original.pixels.shape[2]]
            values.append(metrics.psnr(original.pixels, pixels))
            if index == keep or kept is None:
                kept = original.pixels, pixels
    assert kept is not None, "a coded file holds at least one frame"
    return fmean(values), *kept


def _draw(sheet: Path, name: str, encoded: Any, psnr: float, original: Pixels, result: Pixels) -> None:
    from tessera.tools.report.sheet import side_by_side

    size = f"{encoded.width}x{encoded.height}"
    frames = "" if encoded.frames == 1 else f", frame {encoded.frames // 2} of {encoded.frames}"
    panels = [
        ("Original", f"{size}, 24 bpp", original),
        (
            f"Tessera {encoded.codec}, quality {encoded.quality:g}",
            f"{encoded.bytes:,} bytes, {encoded.bpp:.3f} bpp, PSNR {psnr:.2f} dB",
            result,
        ),
    ]
    if encoded.frames == 1:
        panels.append(_jpeg_panel(original, encoded.bytes))
    side_by_side(name + frames, panels).save(sheet)


def _jpeg_panel(original: Pixels, limit: int) -> tuple[str, str, Pixels]:
    """The picture as the best JPEG of at most `limit` bytes (or the smallest JPEG, if none is so small)."""
    from tessera.tools.measuring import metrics
    from tessera.tools.peers.pictures import PEERS

    jpeg = PEERS["jpeg"]
    pixels = original if original.shape[2] == 3 else original.repeat(3, axis=2)
    low, high = 1, 96  # the answer is in low..high - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if len(jpeg.encode(pixels, middle)) <= limit else (low, middle)
    data = jpeg.encode(pixels, low)
    result = jpeg.decode(data)
    bpp = 8 * len(data) / (pixels.shape[0] * pixels.shape[1])
    figures = f"{len(data):,} bytes, {bpp:.3f} bpp, PSNR {metrics.psnr(pixels, result):.2f} dB"
    return f"JPEG, quality {low}", figures, result


def _print(outcomes: list[DemoOutcome]) -> None:
    head = ("file", "frames", "size", "bytes", "bpp", "PSNR", "encode", "decode")
    rows = [
        (
            item.source,
            str(item.frames),
            f"{item.width}x{item.height}",
            f"{item.bytes:,}",
            f"{item.bpp:.3f}",
            f"{item.psnr:.2f} dB",
            f"{item.encode_seconds:.2f} s",
            f"{item.decode_seconds:.2f} s",
        )
        for item in outcomes
    ]
    print(options.text_table(head, rows))
    for item in outcomes:
        print(f"\n{item.coded}\n  decodes to   {item.decoded}\n  side by side {item.side_by_side}")

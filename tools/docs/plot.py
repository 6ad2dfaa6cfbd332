"""The two pictures of README.md.  Run it by hand; the results are committed.

python -m tessera.tools.docs.plot

docs/images/kodak.png   quality over rate of a few codecs, from the committed docs/report/kodak/summary.csv
docs/images/demo.webp   what `tessera demo` shows of the picture that it makes
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "docs" / "images"
SHOWN = {  # codec of the report -> label
    "spatiotemporal": "Tessera",
    "avif": "AVIF",
    "webp": "WebP",
    "jpegxl": "JPEG XL",
    "jpeg": "JPEG",
}
COLOURS = ("#c8102e", "#6b6f76", "#2a9d62", "#8c6239", "#1f6fb4")
RATES = (0.08, 1.6)  # bits per pixel that are shown
LARGEST = 150_000  # bytes of each picture


def curves(summary: Path) -> dict[str, list[tuple[float, float]]]:
    """(bits per pixel, PSNR in dB) of each codec that is shown, by rising rate."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in SHOWN}
    with summary.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["codec"] in found:
                found[row["codec"]].append((float(row["bpp"]), float(row["psnr"])))
    return {name: sorted(points) for name, points in found.items()}


def draw(summary: Path, target: Path) -> None:
    """Quality over rate, lines named at their ends."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
    for (name, points), colour in zip(curves(summary).items(), COLOURS, strict=True):
        rates, values = zip(*points, strict=True)
        width = 2.8 if name == "spatiotemporal" else 1.7
        axes.plot(rates, values, color=colour, linewidth=width, marker="o", markersize=3.5, label=SHOWN[name])
    axes.set_xscale("log", base=2)
    axes.set_xlim(*RATES)
    axes.set_ylim(25, 41)
    axes.xaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.4, 0.8, 1.6]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.set_xlabel("bits per pixel of the file")
    axes.set_title("Kodak, 24 pictures: RGB PSNR (dB)", loc="left", fontsize=12)
    axes.grid(True, color="#e3e3e6", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(target, dpi=130)
    pyplot.close(figure)


def demo(target: Path) -> None:
    """The side-by-side picture of `tessera demo`, as WebP."""
    from PIL import Image

    from tessera.tools.cli import main

    with tempfile.TemporaryDirectory() as folder:
        if main(["demo", "--out", folder]):
            raise SystemExit("the demo failed")
        with Image.open(Path(folder) / "picture-side-by-side.png") as sheet:
            small = sheet.convert("RGB").resize(
                (1400, round(1400 * sheet.height / sheet.width)), Image.Resampling.LANCZOS
            )
            small.save(target, quality=82, method=6)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    draw(ROOT / "docs" / "report" / "kodak" / "summary.csv", IMAGES / "kodak.png")
    demo(IMAGES / "demo.webp")
    for file in (IMAGES / "kodak.png", IMAGES / "demo.webp"):
        if file.stat().st_size > LARGEST:
            raise SystemExit(f"{file} has {file.stat().st_size:,} bytes, more than {LARGEST:,}")


if __name__ == "__main__":
    main()

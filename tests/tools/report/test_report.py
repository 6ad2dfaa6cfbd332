"""The pages that `tessera evaluate` and `tessera compare` write, opened in headless Chromium where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tessera
from tessera.data import procedural
from tessera.tools.cli import main
from tessera.tools.measuring.bdrate import BdRate
from tessera.tools.measuring.rows import Row
from tessera.tools.peers.pictures import PEERS
from tessera.tools.report import slider
from tessera.tools.studies.rate.rows import Study
from tessera.tools.studies.rate.study import write

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium")

# Moves the line by the keyboard and by the pointer, enlarges another part, changes both sides and the picture; what the
# page then shows is left in its title.
_ACTS = """<script>
{
  const $=s=>document.querySelector(s),line=$(".line"),stage=$(".stage"),said=[];
  const shown=()=>[line.style.left,$(".over").style.clipPath].join(" ");
  const set=(id,value)=>{$(id).value=value;$(id).dispatchEvent(new Event("change"));};
  said.push(shown());
  line.dispatchEvent(new KeyboardEvent("keydown",{key:"ArrowRight",bubbles:true}));
  said.push(shown());
  line.setPointerCapture=()=>{};line.hasPointerCapture=()=>true;
  const r=stage.getBoundingClientRect();
  line.dispatchEvent(new PointerEvent("pointerdown",{pointerId:1,bubbles:true}));
  line.dispatchEvent(new PointerEvent("pointermove",{pointerId:1,clientX:r.left+r.width/4,bubbles:true}));
  said.push(shown());
  stage.dispatchEvent(new MouseEvent("click",{clientX:r.left+1,clientY:r.top+1,bubbles:true}));
  said.push($(".box").style.left+","+$(".box").style.top);
  set("#right",0);
  said.push($(".tag.l").textContent+"/"+$(".tag.r").textContent);
  said.push(document.documentElement.scrollWidth<=window.innerWidth);
  document.title=said.join("|");
  const canvas=$(".details canvas"),first=canvas.width;  // set again just before it is drawn on
  const drawn=()=>canvas.width!==first&&canvas.getContext("2d").getImageData(0,0,1,1).data[3];
  const wait=()=>{if(drawn())document.title+="|drawn";else setTimeout(wait,20);};
  wait();
}
</script></body>"""


def _open(page: Path, width: int, height: int, *more: str, acts: str = "") -> tuple[str, str]:
    """The title that the page has in the end, and what went to the console."""
    acted = page.with_name("acted.html")
    acted.write_text(page.read_text(encoding="utf-8").replace("</body>", acts or "</body>"), encoding="utf-8")
    assert BROWSER is not None
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
        f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},{height}", "--virtual-time-budget=9000",
        *(more or ["--dump-dom"]), acted.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return title[1] if title else "", "\n".join(console)


def _row(codec: str, quality: int, bpp: float, psnr: float) -> Row:
    return Row(codec, "1", f"quality={quality}", "a.png", "aa", 1, 8, 8, 100, bpp, psnr, psnr + 4, 1 - 1 / psnr, None,
               0.1, 0.1)  # fmt: skip


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report of two codecs with made-up figures and one scene."""
    pixels = procedural.picture(120, 180)
    coarse = (pixels // 32 * 32 + 16).astype(np.uint8)
    shots = [slider.shot(name, "figures", p) for name, p in (("original", pixels), ("jpeg", coarse), ("webp", coarse))]
    scene = slider.Scene("a <b>", "0.5 bpp", 180, 120, slider.focus(pixels), shots)
    rows = [_row(c, i, 0.2 * f * 2**i, 28.0 + 3 * i) for c, f in (("jpeg", 1.0), ("webp", 0.8)) for i in range(5)]
    study = Study("images", "tessera evaluate images a.png", [PEERS["jpeg"], PEERS["webp"]], rows,
                  references=["jpeg", "webp"])  # fmt: skip
    result = write(tmp_path, study, [scene])
    assert isinstance(result.bdrates[0], BdRate)
    return tmp_path / "index.html"


@pytest.mark.needs("bjontegaard", "matplotlib")
@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_slider_moves(report: Path, width: int) -> None:
    said: list[str] = []
    for _ in range(5):  # the browser's clock does not wait for its threads that decode pictures
        title, console = _open(report, width, 900, acts=_ACTS)
        assert not console, console
        said = title.split("|")
        if said[-1] == "drawn":
            break
    assert said[0] == "50% inset(0px 0px 0px 50%)" and said[1] == "52% inset(0px 0px 0px 52%)"
    assert said[2].startswith("25%")
    assert said[3:6] == ["0%,0%", "jpeg/original", "true"]  # the last: nothing is wider than the window
    assert said[-1] == "drawn"


@pytest.mark.needs("bjontegaard", "matplotlib")
@needs_browser
def test_pages_are_drawn(report: Path) -> None:
    picture = report.with_name("page.png")
    _, console = _open(report, 800, 1000, f"--screenshot={picture}")
    assert not console, console
    with Image.open(picture) as image:
        assert image.size == (800, 1000) and len(image.convert("RGB").getcolors(1 << 24) or []) > 200


@pytest.mark.needs("bjontegaard", "matplotlib")
def test_the_page_needs_no_other_file(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    for reference in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert reference.startswith(("data:", "#")), reference[:60]
    assert "-20.0&thinsp;%" in page and "+25.0&thinsp;%" in page
    assert "a \\u003cb>" in page  # a title cannot end the script element


def test_compare_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = procedural.picture(96, 128)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    (tmp_path / "photo.tsr").write_bytes(tessera.encode(pixels, quality=30))
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", quality=30)
    page = tmp_path / "page.html"
    names = [str(tmp_path / name) for name in ("photo.tsr", "photo.jpg")]
    assert main(["compare", *names, "--out", str(page)]) == 0
    assert main(["compare", *names, "--out", str(page)]) == 2
    assert "exists; --force overwrites it" in capsys.readouterr().err
    original = ["--original", str(tmp_path / "photo.png"), "--out", str(page), "--force"]
    assert main(["compare", names[0], "webp", *original]) == 0
    text = page.read_text(encoding="utf-8")
    size = (tmp_path / "photo.tsr").stat().st_size
    assert f"{size:,} bytes" in text and "photo.png" in text
    coded = re.search(r"quality=\d+: ([\d,]+) bytes", text)
    assert coded and abs(int(coded[1].replace(",", "")) / size - 1) < 0.1


def test_compare_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, side in (("a.png", 32), ("b.png", 40)):
        Image.fromarray(procedural.picture(side, side)).save(tmp_path / name)
    out = ["--out", str(tmp_path / "page.html")]
    a, b = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    for arguments, message in (
        ([a], "two or more"),
        ([a, b], "the pictures differ in size: 32x32, 40x40"),
        ([a, "jpeg"], "a codec needs --original"),
        ([a, a, "--frame", "3"], "has no frame 3"),
    ):
        assert main(["compare", *arguments, *out]) == 2
        assert message in capsys.readouterr().err

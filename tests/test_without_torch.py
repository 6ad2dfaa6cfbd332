"""Files are written and read without PyTorch; what needs it says in one line which extra brings it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tessera

from .support import drawn
from .support.without_torch import run

CODECS = ("wavelet", "spatiotemporal", "vqgan")
EXTRA = "tessera-codec[torch]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """picture.png, clip.y4m and, made here, picture.tsr and CODEC.tsr."""
    made = tmp_path_factory.mktemp("files")
    Image.fromarray(drawn.picture(40, 56, 3)).save(made / "picture.png")
    tessera.encode_file(str(made / "picture.png"), str(made / "picture.tsr"), codec="wavelet")
    np.save(made / "clip.npy", drawn.clip(4, 40, 56, 3))
    for codec in CODECS:
        (made / f"{codec}.tsr").write_bytes(tessera.encode(drawn.clip(4, 40, 56, 3), codec=codec, fps=25.0))
    return made


def test_torch_is_hidden(tmp_path: Path) -> None:
    """What the other tests are worth."""
    run(
        """
import importlib.util
assert importlib.util.find_spec("torch") is None and importlib.util.find_spec("numpy") is not None
try:
    import torch
except ModuleNotFoundError as error:
    assert error.name == "torch"
else:
    raise AssertionError("torch is found")
""",
        tmp_path,
    )


@pytest.mark.parametrize("codec", CODECS)
def test_encode_and_decode(folder: Path, codec: str) -> None:
    run(
        f"""
import numpy as np, tessera
frames = np.load("clip.npy")
for effort in ("fast", "medium"):
    data = tessera.encode(frames, codec="{codec}", quality=40, effort=effort)
    assert tessera.decode(data).shape == frames.shape
assert tessera.encode(frames[0], codec="{codec}", bpp=0.5)
with tessera.open("{codec}.tsr") as clip:
    assert clip[1:3].shape == (2, 40, 56, 3) and clip.info.codec == "{codec}" and len(clip) == 4
assert tessera.verify("{codec}.tsr").ok
""",
        folder,
    )


def test_pillow_plugin(folder: Path) -> None:
    run(
        """
import tessera
from PIL import Image
picture = Image.open("picture.tsr")
assert picture.size == (56, 40)
picture.load()
picture.save("again.tsr")
""",
        folder,
    )


COMMANDS = [
    ["info", "spatiotemporal.tsr"],
    ["info", "wavelet.tsr", "--json"],
    ["verify", "spatiotemporal.tsr"],
    ["encode", "picture.png", "made.tsr", "--codec", "wavelet"],
    ["encode", "clip.npy", "made.tsr", "--codec", "spatiotemporal", "--quality", "30"],
    ["encode", "picture.png", "made.tsr", "--codec", "wavelet", "--psnr", "33"],
    ["decode", "picture.tsr", "made.png"],
    ["decode", "spatiotemporal.tsr", "made.npy", "--frames", "1:3"],
    ["codecs"],
    ["compare", "picture.png", "picture.tsr", "--original", "picture.png", "--out", "page.html"],
    ["compare", "wavelet", "jpeg", "--original", "picture.png", "--out", "page.html"],
    ["demo", "picture.png", "--out", "demo"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_commands(folder: Path, arguments: list[str]) -> None:
    extra = ["--force"] if arguments[0] in ("encode", "decode", "compare") else []
    run(
        f"""
from tessera.tools.cli import main
status = main({[*arguments, *extra]!r})
assert status == 0, status
""",
        folder,
    )


@pytest.mark.parametrize(
    "call",
    [
        "tessera.open('wavelet.tsr').latents()",
        "tessera.open('spatiotemporal.tsr').latents(0, 2)",
        "tessera.open('wavelet.tsr').tokens()",
        "tessera.encode(np.load('clip.npy'), codec='nerv')",
        "tessera.encode(np.load('clip.npy'), codec='wavelet', effort='slow')",
        "tessera.encode(np.load('clip.npy'), device='cuda')",
        "tessera.data.CompressedDataset(['wavelet.tsr'])",
        "tessera.TokenSet",
    ],
)
def test_what_needs_torch_names_the_extra(folder: Path, call: str) -> None:
    run(
        f"""
import numpy as np, tessera
try:
    {call}
except tessera.CodecError as error:
    assert "{EXTRA}" in str(error) and len(str(error).splitlines()) == 1, str(error)
else:
    raise AssertionError("nothing is said")
""",
        folder,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["tokens", "wavelet.tsr", "made.safetensors"],
        ["encode", "picture.png", "made.tsr", "--force", "--codec", "nerv"],
        ["train", "wavelet", "--data", "x", "--out", "y"],
    ],
)
def test_commands_that_need_torch_name_the_extra(folder: Path, arguments: list[str]) -> None:
    run(
        f"""
import contextlib, io
from tessera.tools.cli import main
with contextlib.redirect_stderr(io.StringIO()) as told:
    assert main({arguments!r}) == 2
assert "{EXTRA}" in told.getvalue() and len(told.getvalue().splitlines()) == 1, told.getvalue()
""",
        folder,
    )

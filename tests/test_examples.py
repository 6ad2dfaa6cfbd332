"""The scripts of the folder `examples`, run on tiny inputs."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import tessera
from tessera.data import procedural

from .support import media_samples

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
TESTED = {"encode_folder", "read_frame", "train_classifier", "tokens_to_qwen", "compare_codecs"}


def load(name: str) -> ModuleType:
    """The script as a module; its `main` is not called."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_clip(path: Path) -> None:
    """16 frames of 64x64, in groups of 2."""
    path.write_bytes(tessera.encode(procedural.clip(16, 64, 64), codec="wavelet", quality=40, gop=2, fps=25))


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == TESTED


def test_encode_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "pictures"
    source.mkdir()
    for seed in (0, 1):
        Image.fromarray(procedural.picture(40, 56, seed=seed)).save(source / f"{seed}.png")
    (source / "notes.txt").write_text("not a picture")
    assert load("encode_folder").main([str(source), str(tmp_path / "coded"), "--quality", "60"]) == 0
    files = sorted((tmp_path / "coded").iterdir())
    assert [file.name for file in files] == ["0.tsr", "1.tsr"]
    assert tessera.decode(files[1]).shape == (40, 56, 3)
    total = sum(file.stat().st_size for file in files)
    assert f"2 pictures, {total:,} bytes" in capsys.readouterr().out


def test_read_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "clip.tsr")
    target = tmp_path / "frame.png"
    assert load("read_frame").main([str(tmp_path / "clip.tsr"), "9", str(target)]) == 0
    assert np.array_equal(np.asarray(Image.open(target)), tessera.decode(tmp_path / "clip.tsr")[9])
    output = capsys.readouterr().out
    assert "shows at 0.36 s" in output
    numbers = re.search(r"read ([\d,]+) of ([\d,]+) bytes", output)
    assert numbers is not None
    read, whole = (int(text.replace(",", "")) for text in numbers.groups())
    assert read < whole / 2, "one group of eight is enough, read for its times and for its frames"


def test_train_classifier(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {"scene": procedural.picture, "waves": media_samples.picture}
    for name, make in kinds.items():
        (tmp_path / name).mkdir()
        for seed in range(8):
            data = tessera.encode(make(64, 64, seed=seed), codec="wavelet", quality=40)
            (tmp_path / name / f"{seed}.tsr").write_bytes(data)
    assert load("train_classifier").main([str(tmp_path), "--epochs", "12"]) == 0
    assert "right: 4 of 4 (100%)" in capsys.readouterr().out


def test_tokens_to_qwen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers", reason="pip install 'tessera-codec[vlm]' brings transformers")
    from tessera.tools.peers.mend import mend_torchvision

    mend_torchvision()  # transformers imports torchvision where there is one
    write_clip(tmp_path / "clip.tsr")
    assert load("tokens_to_qwen").main([str(tmp_path / "clip.tsr"), "--budget", "10"]) == 0
    prompt = len("What moves?") + 2  # and two ids around the video
    assert f"10 tokens of the clip, a prompt of {prompt + 10} positions" in capsys.readouterr().out


def test_compare_codecs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(procedural.picture(96, 144)).save(tmp_path / "photo.png")
    assert load("compare_codecs").main([str(tmp_path / "photo.png"), "--family", "wavelet"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    rows = [re.findall(r"[\d,.]+", line) for line in lines]
    assert len(rows) == 3
    for size, quality, our_size, our_quality in rows:
        assert int(our_size.replace(",", "")) <= int(size.replace(",", ""))
        assert float(our_quality) > float(quality), "JPEG is the weaker codec at equal size"

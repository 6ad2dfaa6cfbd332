"""Whatever a program has set in torch, files are the same; and what it has set stays as it was."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import torch

import tessera
from tessera.data import procedural
from tessera.models.base.torch_defaults import float32_on_cpu

# A process of its own: families and their tables are made once, under the defaults that they meet.
SCRIPT = """
import hashlib, sys
import torch
{setting}
dtype, device, state = torch.get_default_dtype(), torch.get_default_device(), torch.random.get_rng_state()
import tessera
from tessera.data import procedural
clip = procedural.clip(3, 40, 48)
for codec, options in {cases}:
    data = tessera.encode(clip, codec=codec, fps=25, quality=40, **options)
    with tessera.open(data) as opened:
        grid, tokens = opened.latents(), opened.tokens(budget=6)
        parts = [data, tessera.decode(data).tobytes(), grid.x.numpy().tobytes(), tokens.x.numpy().tobytes()]
        if codec == "vqgan":
            ids = opened.tokens(kind="ids")
            parts += [ids.codes.numpy().tobytes(), opened.from_ids(ids).tobytes(), tessera.encode_ids(ids, opened)]
            parts += [opened.restore(ids.codes.numpy()[..., 0] > 0).tobytes()]
        tessera.preview(opened).upgrade()
    print(codec, *(hashlib.sha1(part).hexdigest()[:12] for part in parts))
assert torch.get_default_dtype() == dtype and torch.get_default_device() == device
assert torch.equal(torch.random.get_rng_state(), state)
"""
CASES = [("wavelet", {"effort": "slow"}), ("spatiotemporal", {}), ("vqgan", {}), ("nerv", {"epochs": 1})]
SETTINGS = ["torch.set_default_dtype(torch.float64)", 'torch.set_default_device("meta")']


def printed(setting: str) -> str:
    script = SCRIPT.format(setting=setting, cases=CASES)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def plain() -> str:
    """What is printed under torch's own defaults; the generator's state is compared there, too."""
    return printed("")


@pytest.mark.parametrize("setting", SETTINGS)
def test_defaults_do_not_reach_into_files(setting: str, plain: str) -> None:
    assert printed(setting) == plain and len(plain.splitlines()) == len(CASES)


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_defaults_come_back_after_an_error(float64: None) -> None:
    with pytest.raises(KeyError), float32_on_cpu():
        assert torch.tensor(1.0).dtype == torch.float32
        raise KeyError
    assert torch.get_default_dtype() == torch.float64
    data = bytearray(tessera.encode(procedural.picture(24, 32), codec="wavelet"))
    data[-60] ^= 1
    with pytest.raises(tessera.FormatError):
        tessera.decode(bytes(data))
    assert torch.get_default_dtype() == torch.float64


def test_calls_of_several_threads_overlap(float64: None) -> None:
    """The first call to end does not take float32 away from the other."""
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with float32_on_cpu():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(10)
    with float32_on_cpu():
        leave.set()
        thread.join()
        assert torch.get_default_dtype() == torch.float32
    assert torch.get_default_dtype() == torch.float64

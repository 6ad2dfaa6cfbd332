"""Files behind URLs: what is fetched of them, and the groups that stay in memory."""

from __future__ import annotations

import multiprocessing
import pickle
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tessera
from tessera.codec.coding.groups import read_latents
from tessera.codec.files import info_file
from tessera.codec.reading import latents as latents_room
from tessera.codec.reading import remote
from tessera.codec.reading.recent import Recent
from tessera.data import procedural

fsspec = pytest.importorskip("fsspec")
from fsspec.implementations.local import LocalFileSystem  # noqa: E402

GOP, GROUPS = 2, 24


class Counting(LocalFileSystem):  # type: ignore[misc]
    """Files of this machine that count what is fetched of them."""

    protocol = "counting"
    ranges: list[tuple[int, int]] = []

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        found: bytes = super().cat_file(path, start=start, end=end, **options)
        Counting.ranges.append((start or 0, (start or 0) + len(found)))
        return found


def fetched() -> int:
    """Bytes since the last call."""
    total = sum(stop - start for start, stop in Counting.ranges)
    Counting.ranges.clear()
    return total


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    fsspec.register_implementation("counting", Counting, clobber=True)
    made = tmp_path_factory.mktemp("remote") / "clip.tsr"
    made.write_bytes(tessera.encode(noise(GOP * GROUPS), codec="wavelet", gop=GOP, quality=80, fps=25))
    assert made.stat().st_size > 20 * remote.BLOCK
    return made


def noise(frames: int) -> np.ndarray[Any, Any]:
    made = procedural.clip(frames, 48, 48).astype(np.int64)
    return np.clip(made + np.random.default_rng(0).integers(-30, 30, made.shape), 0, 255).astype(np.uint8)


def test_one_frame_costs_little_more_than_its_group(path: Path) -> None:
    with tessera.open(path) as clip:
        wanted, size = clip[GOP * 17], clip.reader.entries[17].size
    fetched()
    with tessera.open(f"counting://{path}") as clip:
        requests = len(Counting.ranges)
        opened = fetched()
        assert requests <= 3 and opened <= 3 * remote.BLOCK, "the beginning and the end"
        assert np.array_equal(clip[GOP * 17], wanted)
        requests = len(Counting.ranges)
        read = fetched()
        assert size <= read <= size + 2 * remote.BLOCK and requests <= 2
        clip[GOP * 17 + 1]
        assert fetched() == 0, "the group is kept"
    assert opened + read < path.stat().st_size / 5


def test_tokens_and_whole_files_are_those_of_a_path(path: Path, tmp_path: Path) -> None:
    url = f"counting://{path}"
    with tessera.open(path) as here, tessera.open(url) as there:
        assert there.tokens(4, 6, budget=8) == here.tokens(4, 6, budget=8)
        assert pickle.loads(pickle.dumps(there)).latents(0, 2).x.equal(here.latents(0, 2).x)
    assert np.array_equal(tessera.decode(url, frames=(3, 9)), tessera.decode(path, frames=(3, 9)))
    tessera.decode_file(url, str(tmp_path / "part.npy"), frames=(0, 2))
    assert np.array_equal(np.load(tmp_path / "part.npy"), tessera.decode(path, frames=(0, 2)))
    assert info_file(url).bytes == path.stat().st_size
    assert np.array_equal(tessera.decode(f"file://{path}", frames=(0, 1)), tessera.decode(path, frames=(0, 1)))


def test_processes_that_were_forked_connect_by_themselves(path: Path) -> None:
    clip = tessera.open(f"counting://{path}")
    file: Any = clip.reader._places.file
    child = multiprocessing.get_context("fork").Process(target=_connected_anew, args=(file, file._fs))
    child.start()
    child.join()
    assert child.exitcode == 0
    clip.close()


def _connected_anew(file: Any, before: Any) -> None:
    file.seek(0)
    whole = len(file.read(10_000)) == 10_000
    sys.exit(0 if whole and file._fs is not before else 1)


class Ranges(BaseHTTPRequestHandler):
    """A server of one file; sent counts bytes."""

    body, sent, ranges = b"", 0, True

    def do_HEAD(self) -> None:
        self._answer(len(self.body), 200)

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")) if self.ranges else None
        part = self.body[int(asked[1]) : int(asked[2]) + 1] if asked else self.body
        self._answer(len(part), 206 if asked else 200)
        Ranges.sent += len(part)
        self.wfile.write(part)

    def _answer(self, length: int, status: int) -> None:
        self.send_response(status if self.path == "/clip.tsr" else 404)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *given: Any) -> None:
        pass


@pytest.fixture
def server(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(Ranges, "body", path.read_bytes())
    with ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


def test_ranges_over_http(server: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ranges.sent = 0
    with tessera.open(f"{server}/clip.tsr") as clip, tessera.open(path) as here:
        assert np.array_equal(clip[30], here[30])
        assert Ranges.sent < here.reader.entries[15].size + 5 * remote.BLOCK < len(Ranges.body) / 3
    with pytest.raises(tessera.ParameterError, match=f"{server}/absent.tsr: there is no such file"):
        tessera.open(f"{server}/absent.tsr")
    monkeypatch.setattr(Ranges, "ranges", False)
    with pytest.raises(tessera.UnsupportedError, match="sends no part of a file; download it first"):
        tessera.open(f"{server}/clip.tsr")


def test_what_cannot_be_fetched_is_named(path: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.tsr"
    short.write_bytes(path.read_bytes())
    clip = tessera.open(f"counting://{short}")
    short.write_bytes(path.read_bytes()[: 4 * remote.BLOCK])
    with pytest.raises(tessera.CodecError, match="short.tsr: bytes .* are not all there"):
        clip[40]
    short.unlink()
    with pytest.raises(tessera.CodecError, match="short.tsr: bytes .* cannot be read: there is no such file"):
        clip[20]
    with pytest.raises(tessera.ParameterError, match="nothing://x"):
        tessera.open("nothing://x.tsr")


# -- groups that stay in memory ----------------------------------------------------------------------------------------


def test_windows_that_overlap_decode_each_group_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain = read_latents

    def counted(family: Any, head: Any, data: Any, limits: Any) -> Any:
        seen.append(data.number)
        return plain(family, head, data, limits)

    monkeypatch.setattr(latents_room, "read_latents", counted)
    with tessera.open(f"counting://{path}", keep=3) as kept, tessera.open(path) as fresh:
        for start in range(6):
            wanted = fresh.latents(start, start + 4)
            seen.clear()
            grid = kept.latents(start, start + 4)
            assert grid.x.equal(wanted.x) and grid.times.equal(wanted.times) and grid.valid.equal(wanted.valid)
            assert sorted(seen) == {0: [0, 1], 1: [2], 3: [3], 5: [4]}.get(start, [])
            grid.x.zero_()
            grid.valid.zero_()
        fetched()
        seen.clear()
        kept.latents(6, 9)
        assert fetched() == 0, "nothing is fetched either"
        assert seen == [] and kept.latents(4, 6, channels=3).x.shape[3] == 3, "other channels are read anew"
        assert pickle.loads(pickle.dumps(kept)).keep == 3


def test_frames_that_are_painted_over_are_whole_again(path: Path) -> None:
    with tessera.open(path, keep=2) as clip:
        first = clip[0].copy()
        clip[0][:] = 0
        next(clip.frames())[:] = 0
        assert np.array_equal(clip[0], first) and first.any()
        read = clip.bytes_read
        clip[GOP], clip[0], clip[GOP + 1]
        assert clip.bytes_read - read == clip.reader.entries[1].size, "two groups are kept"
    for keep in (-1, 1.5, True):
        with pytest.raises(tessera.ParameterError, match="keep is a number of groups"):
            tessera.open(path, keep=keep)  # type: ignore[arg-type]


def test_recent_lets_the_oldest_go() -> None:
    kept: Recent[str, int] = Recent(2)
    for number, name in enumerate("ab"):
        kept.put(name, number)
    assert kept.get("a") == 0
    kept.put("c", 2)
    assert [kept.get(name) for name in "abc"] == [0, None, 2]
    kept.make_room()
    assert [kept.get(name) for name in "ac"] == [None, 2]
    nothing: Recent[str, int] = Recent(0)
    nothing.put("a", 1)
    nothing.make_room()
    assert nothing.get("a") is None

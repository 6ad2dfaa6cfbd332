"""`tessera bulk`: every item once, whatever is killed, changed or damaged."""

from __future__ import annotations

import csv
import functools
import http.server
import importlib.util
import io
import json
import multiprocessing
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

if importlib.util.find_spec("pyarrow") is None:
    pytest.skip("pyarrow is not installed", allow_module_level=True)

import tessera
from tessera.codec.errors import ParameterError
from tessera.data import procedural, storage
from tessera.tools.bulk import job as bulk
from tessera.tools.bulk.items import items
from tessera.tools.bulk.job import BulkReport, BulkSettings, run_job
from tessera.tools.bulk.manifest import Manifest
from tessera.tools.bulk.operations import MEDIA, Decode, Encode, Tokens, Verify
from tessera.tools.cli import main
from tessera.tools.engines.engine import WorkerDied, outcome_of

OPTIONS = tessera.EncodeOptions(codec="wavelet", effort="fast", quality=30)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures in two folders; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "sub").mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.webp", "sub/a.png", "sub/d.e.png")):
        Image.fromarray(procedural.picture(16 + 8 * number, 40, seed=number)).save(folder / name, lossless=True)
    return folder


@pytest.fixture
def pictures(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "in"))


def job(target: Path | str, *sources: Path | str, operation: Any = None, watch: Any = None, **more: Any) -> BulkReport:
    more = {"workers": 0, **more}
    operation = operation or Encode(OPTIONS)
    return run_job(
        BulkSettings(operation=operation, sources=[str(s) for s in sources], target=str(target), **more), watch
    )


def rows(target: Path | str) -> dict[str, dict[str, Any]]:
    import pyarrow.parquet as pq

    with storage.open_to_read(storage.joined(str(target), "manifest.parquet")) as file:
        table: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    found = {row["key"]: row for row in table}
    assert len(found) == len(table), "a key has two rows"
    return found


def members(folder: Path) -> list[tuple[str, bytes]]:
    """Name and bytes of every file in every shard."""
    found = []
    for shard in sorted(folder.glob("*.tar")):
        with tarfile.open(shard) as tar:
            found += [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]
    return found


def stamps(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*.tsr")}


KEYS = ["a", "b", "c", "sub/a", "sub/d.e"]


def test_outputs_are_those_of_single_files(pictures: Path, tmp_path: Path) -> None:
    (pictures / "broken.png").write_bytes(b"no picture")
    (pictures / "notes.txt").write_text("left out")
    (pictures / "b.jpg").write_bytes((pictures / "c.webp").read_bytes())
    report = job(tmp_path / "out", pictures)
    assert (report.items, report.done, report.failed) == (7, 5, 2)
    found = rows(tmp_path / "out")
    twin = f"refused: {pictures / 'b.png'}"
    assert sorted(found) == sorted([twin, "a", "b", "broken", "c", "sub/a", "sub/d.e"])
    assert "another item has the key b" in found[twin]["error"]
    assert "FormatError" in found["broken"]["error"] and found["broken"]["status"] == "failed"
    for key in ("a", "sub/a", "sub/d.e"):
        data = (tmp_path / "out" / f"{key}.tsr").read_bytes()
        assert data == tessera.encode(pictures / f"{key}.png", OPTIONS)
        row = found[key]
        assert (row["bytes"], row["frames"], row["width"]) == (len(data), 1, 40)
    assert not (tmp_path / "out" / "manifest.parts").exists()


def test_what_is_finished_is_not_done_again(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job(out, pictures)
    before = stamps(out)
    assert job(out, pictures).finished == 5 and stamps(out) == before
    os.utime(pictures / "a.png", ns=(1, 1))  # newer, with the same contents
    (out / "b.tsr").unlink()  # lost
    shutil.copy(pictures / "a.png", pictures / "c.webp")  # other contents
    report = job(out, pictures)
    assert (report.done, report.finished) == (2, 3)
    changed = {name for name, stamp in stamps(out).items() if before[name] != stamp}
    assert changed == {"b.tsr", "c.tsr"}
    assert (out / "c.tsr").read_bytes() == tessera.encode(pictures / "a.png", OPTIONS)
    assert job(out, pictures, operation=Encode(tessera.EncodeOptions(codec="wavelet", quality=31))).done == 5
    assert job(out, pictures, force=True).done == 5


def test_shards_hold_every_item_once(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert job(out, pictures, shard=2).done == 5
    assert [path.name for path in sorted(out.glob("*.tar"))] == [f"shard-00000{k}.tar" for k in range(3)]
    names = [f"{key.replace('d.e', 'd_e')}.tsr" for key in KEYS]  # a dot would end the key of a sample
    assert sorted(name for name, _ in members(out)) == sorted(names)
    for row in rows(out).values():
        with tarfile.open(out / row["output"]) as tar:
            assert len(tar.extractfile(row["member"]).read()) == row["bytes"]  # type: ignore[union-attr]
    shutil.copy(pictures / "a.png", pictures / "b.png")
    assert job(out, pictures, shard=2).done == 1
    found = dict(members(out))
    assert sorted(found) == sorted(names) and len(members(out)) == 5, "the old b is gone"
    assert found["b.tsr"] == found["a.tsr"]
    again = members(out)
    assert job(out, pictures, shard=2).finished == 5 and members(out) == again


def test_shards_to_shards_keep_what_stands_beside(pictures: Path, tmp_path: Path) -> None:
    source = tmp_path / "set.tar"
    with tarfile.open(source, "w") as tar:
        for key in ("x/1", "x/2"):
            for suffix, data in (("png", (pictures / "a.png").read_bytes()), ("cls", key[-1].encode())):
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    assert job(tmp_path / "out", source, shard=10).done == 2
    found = dict(members(tmp_path / "out"))
    assert sorted(found) == ["x/1.cls", "x/1.tsr", "x/2.cls", "x/2.tsr"] and found["x/2.cls"] == b"2"
    back = job(tmp_path / "back", tmp_path / "out", operation=Decode(picture=".bmp"))
    assert back.done == 2 and Image.open(tmp_path / "back" / "x" / "1.bmp").size == (40, 16)


def test_tokens_and_verify(pictures: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    job(tmp_path / "out", pictures / "a.png", pictures / "b.png")
    job(tmp_path / "tokens", tmp_path / "out", operation=Tokens(budget=3))
    assert load_file(tmp_path / "tokens" / "a.safetensors")["x"].shape[0] == 3
    data = bytearray((tmp_path / "out" / "a.tsr").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "out" / "a.tsr").write_bytes(data)
    report = job(tmp_path / "report", tmp_path / "out", operation=Verify())
    assert (report.done, report.failed) == (1, 1)
    assert "checksum" in rows(tmp_path / "report")["a"]["error"]
    with pytest.raises(ParameterError, match="bulk verify"):
        job(tmp_path / "report", pictures)


def test_stores_of_fsspec(pictures: Path, tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    try:
        for name in ("a.png", "sub/a.png"):
            memory.pipe_file(f"/in/{name}", (pictures / name).read_bytes())
        for more in ({}, {"shard": 2}):
            target = f"memory://out{len(more)}"
            assert job(target, "memory://in", **more).done == 2
            assert job(target, "memory://in", **more).finished == 2
        assert memory.cat_file("/out0/sub/a.tsr") == tessera.encode(pictures / "sub" / "a.png", OPTIONS)
        assert job(f"file://{tmp_path}/out", "memory://in/*.png").done == 1
        assert (tmp_path / "out" / "a.tsr").read_bytes() == memory.cat_file("/out0/a.tsr")
        with pytest.raises(ParameterError, match="workers 0"):
            job("memory://out", pictures, workers=1)
    finally:
        memory.store.clear()


@pytest.fixture
def server(pictures: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(pictures))) as one:
        thread = threading.Thread(target=one.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{one.server_port}"
        one.shutdown()
        thread.join()


@pytest.mark.needs("aiohttp")
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_manifests_of_urls_and_paths(kind: str, server: str, pictures: Path, tmp_path: Path) -> None:
    table = [
        {"url": f"{server}/a.png", "key": "far"},
        {"url": f"{server}/nothing.png", "key": "lost"},
        {"url": "sub/a.png", "key": "../../near"},
        {"url": str(pictures / "c.webp"), "key": ""},
    ]
    name = pictures / f"list.{kind}"
    if kind == "csv":
        with name.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["url", "key"])
            writer.writeheader()
            writer.writerows(table)
    elif kind == "jsonl":
        name.write_text("".join(json.dumps(row) + "\n" for row in table))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(table), name)
    report = job(tmp_path / "out", name)
    assert (report.done, [key for key, _ in report.failures]) == (3, ["lost"])
    assert (tmp_path / "out" / "far.tsr").read_bytes() == tessera.encode(pictures / "a.png", OPTIONS)
    assert (tmp_path / "out" / "near.tsr").exists(), "no key leads out of the folder"
    assert (tmp_path / "out" / str(pictures / "c.tsr")[1:]).exists()
    with pytest.raises(ParameterError, match="no column where among"):
        job(tmp_path / "out", name, column="where")


@pytest.mark.needs("moto", "s3fs")
def test_a_server_that_speaks_s3(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There and back through two buckets, in this process and in a worker."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        import s3fs

        store = s3fs.S3FileSystem()
        store.mkdir("sources")
        store.mkdir("outputs")
        store.put(str(pictures) + "/", "sources/set/", recursive=True)
        for workers in (0, 1):
            for more in ({}, {"shard": 3}):
                target = f"s3://outputs/{workers}{len(more)}"
                assert job(target, "s3://sources/set", workers=workers, **more).done == 5
                assert job(target, "s3://sources/set", **more).finished == 5
        assert store.cat_file("outputs/10/sub/a.tsr") == tessera.encode(pictures / "sub" / "a.png", OPTIONS)
        assert job(tmp_path / "back", "s3://outputs/01/*.tar", operation=Decode()).done == 5
        store.rm("outputs/00/a.tsr")
        store.invalidate_cache()
        assert job("s3://outputs/00", "s3://sources/set").done == 1
    finally:
        server.stop()


@pytest.mark.parametrize("shard", [None, 2])
def test_a_killed_worker_loses_and_doubles_nothing(pictures: Path, tmp_path: Path, shard: int | None) -> None:
    killed: list[int] = []

    def kill(done: int, total: int, failed: int) -> None:
        child = multiprocessing.active_children()[0]
        if not killed and child.pid:
            killed.append(child.pid)
            child.kill()

    report = job(tmp_path / "out", pictures, workers=1, shard=shard, watch=kill)
    assert killed and (report.done, report.failed) == (5, 0)
    assert len(rows(tmp_path / "out")) == 5
    if shard:
        assert len(members(tmp_path / "out")) == 5


@pytest.mark.parametrize("shard", [None, 2])
def test_a_killed_job_goes_on(pictures: Path, tmp_path: Path, shard: int | None, monkeypatch: Any) -> None:
    """Killed after outputs were written and before their rows were: they are made again, shards are not doubled."""
    out = tmp_path / "out"

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "flush", killed)
        with pytest.raises(KeyboardInterrupt):
            job(out, pictures, shard=shard)
    assert not (out / "manifest.parquet").exists()
    report = job(out, pictures, shard=shard)
    assert (report.done, report.finished) == (5, 0) and len(rows(out)) == 5
    assert len(members(out)) == (5 if shard else 0) and len(stamps(out)) == (0 if shard else 5)


def test_an_interrupted_job_keeps_its_rows(pictures: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int, failed: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job(tmp_path / "out", pictures, watch=stop)
    report = job(tmp_path / "out", pictures)
    assert (report.done, report.finished) == (2, 3)


@pytest.mark.parametrize("shard", [None, 4])
def test_an_item_that_kills_its_worker_is_found(
    pictures: Path, tmp_path: Path, shard: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deadly:
        """An engine whose workers die on the item c."""

        batch, apart = 3, False

        def run(self, work: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
            for task in tasks:
                deadly = any(item.key == "c" for item in task.items)
                yield task, WorkerDied() if deadly else outcome_of(work, task)

        def close(self) -> None: ...

    monkeypatch.setattr(bulk, "make_engine", lambda *_, **__: Deadly())
    report = job(tmp_path / "out", pictures, shard=shard)
    assert report.done == 4 and report.failures == [("c", "WorkerDied: its process died (out of memory?)")]
    assert len(members(tmp_path / "out")) == (4 if shard else 0)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    for source, message in (("none", "no such file"), ("*.png", "nothing matches"), ("nope://x/y", "nope")):
        name = source if "://" in source else str(tmp_path / source)
        with pytest.raises((ParameterError, tessera.UnsupportedError), match=message):
            list(items([name], MEDIA))


def test_command(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    words = ["bulk", "encode", str(pictures / "a.png"), str(pictures / "b.png"), out, "--codec", "wavelet"]
    assert main([*words, "--workers", "0", "--quality", "30"]) == 0
    assert "2 items: 2 done, 0 finished before, 0 failed" in capsys.readouterr().out
    (tmp_path / "bad.tsr").write_bytes(b"no file")
    assert main(["bulk", "verify", str(tmp_path / "bad.tsr"), out, str(tmp_path / "v"), "--workers", "0"]) == 1
    assert "  bad: " in capsys.readouterr().out
    assert main(["bulk", "decode", out, str(tmp_path / "d"), "--picture", "png", "--workers", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["done"] == 2
    assert main(["bulk", "tokens", out, str(tmp_path / "t"), "--budget", "nothing", "--workers", "0"]) == 2

"""Speed and size of the range coder beside installed peers, all in one run on one thread.

The task: symbols of 64 quantised Gaussians, scales log-spaced from 0.11 to 32 and skewed to the small ones (about two
thirds of the symbols are zeros, 1.4 bits per symbol), in random order, each with the index of its table.

Peers get the same symbols. CompressAI: its `GaussianConditional` tables, lists made beforehand. constriction: one
Gaussian per symbol, in stream order, the better of its two coders; and, as what it can do when order does not matter,
one call per table on symbols sorted and shifted beforehand.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.entropy import Decoder, Encoder, Tables, cpu_path, cpu_paths, fit_table

SCALES = np.geomspace(0.11, 32, 64)
SKEW = 0.049  # weight of scale k is exp(-SKEW * k)
LARGEST_SYMBOL = 320  # ten times the largest scale
Speeds = dict[str, float]


@dataclass
class Task:
    """symbols int32 (n,), indices uint8 (n,), ideal: bits of the symbols under the true distribution."""

    symbols: NDArray[np.int32]
    indices: NDArray[np.uint8]
    ideal: float


@dataclass
class CoderTrial:
    """A way to code the task: `encode` returns what `decode` takes; `decode` returns the symbols."""

    name: str
    encode: Callable[[], Any]
    decode: Callable[[Any], NDArray[np.int32]]
    size: Callable[[Any], int]
    symbols: NDArray[np.int32]


def gaussian(scale: float) -> NDArray[np.float64]:
    """Probabilities of -LARGEST_SYMBOL..LARGEST_SYMBOL under a rounded zero-mean Gaussian, exact in the tails."""
    edges = (np.arange(LARGEST_SYMBOL + 2) - 0.5) / (scale * math.sqrt(2))
    tail = np.array([math.erfc(edge) for edge in edges])
    half = 0.5 * (tail[:-1] - tail[1:])
    return np.concatenate([half[:0:-1], half])


def make_task(n: int, seed: int = 1) -> Task:
    rng = np.random.default_rng(seed)
    weights = np.exp(-SKEW * np.arange(len(SCALES)))
    indices = rng.choice(len(SCALES), n, p=weights / weights.sum()).astype(np.uint8)
    symbols = np.rint(rng.normal(size=n) * SCALES[indices]).astype(np.int32)
    p = np.stack([gaussian(scale) for scale in SCALES])[indices, symbols + LARGEST_SYMBOL]
    return Task(symbols, indices, float(-np.log2(p).sum()))


def ours(task: Task, path: str | None = None) -> CoderTrial:
    tables = Tables.stack([fit_table(gaussian(scale), -LARGEST_SYMBOL) for scale in SCALES])

    def encode() -> bytes:
        encoder = Encoder(tables, path=path)
        encoder.put(task.symbols, task.indices)
        return encoder.finish()

    def decode(data: bytes) -> NDArray[np.int32]:
        decoder = Decoder(tables, data, path=path)
        symbols = decoder.get(task.indices)
        decoder.finish()
        return symbols

    return CoderTrial("tessera" if path is None else f"tessera_{path}", encode, decode, len, task.symbols)


def compressai(task: Task) -> CoderTrial:
    """CompressAI's rANS with the tables of its own Gaussian model."""
    from tessera.tools.peers.mend import mend_torchvision

    mend_torchvision()
    from compressai.ans import RansDecoder, RansEncoder
    from compressai.entropy_models import GaussianConditional

    model = GaussianConditional(SCALES.tolist())
    model.update()
    tables = model.quantized_cdf.tolist(), model.cdf_length.tolist(), model.offset.tolist()
    symbols, indices = task.symbols.tolist(), task.indices.tolist()

    def decode(data: bytes) -> NDArray[np.int32]:
        return np.array(RansDecoder().decode_with_indexes(data, indices, *tables), np.int32)

    return CoderTrial(
        "compressai", lambda: RansEncoder().encode_with_indexes(symbols, indices, *tables), decode, len, task.symbols
    )


def constriction(task: Task, coder: str) -> CoderTrial:
    """constriction with a Gaussian for every symbol, in stream order; `coder` is "ans" or "range"."""
    import constriction as peer

    family = peer.stream.model.QuantizedGaussian(-LARGEST_SYMBOL, LARGEST_SYMBOL)
    means, scales = np.zeros(len(task.symbols)), SCALES[task.indices]

    def encode() -> Any:
        if coder == "ans":
            writer = peer.stream.stack.AnsCoder()
            writer.encode_reverse(task.symbols, family, means, scales)
        else:
            writer = peer.stream.queue.RangeEncoder()
            writer.encode(task.symbols, family, means, scales)
        return writer.get_compressed()

    def decode(data: Any) -> Any:
        reader = peer.stream.stack.AnsCoder(data) if coder == "ans" else peer.stream.queue.RangeDecoder(data)
        return reader.decode(family, means, scales)

    return CoderTrial(f"constriction_{coder}", encode, decode, lambda data: 4 * len(data), task.symbols)


def constriction_sorted(task: Task) -> CoderTrial:
    """constriction's range coder, one call for each table; sorting the symbols is not counted."""
    import constriction as peer

    order = np.argsort(task.indices, kind="stable")
    symbols = task.symbols[order]
    counts = np.bincount(task.indices, minlength=len(SCALES))
    reaches = np.minimum(LARGEST_SYMBOL, np.ceil(10 * SCALES).astype(np.int32))
    parts = np.split(symbols + np.repeat(reaches, counts), np.cumsum(counts)[:-1])
    models = [
        peer.stream.model.Categorical(gaussian(scale)[LARGEST_SYMBOL - r : LARGEST_SYMBOL + r + 1], perfect=False)
        for scale, r in zip(SCALES, reaches, strict=True)
    ]

    def encode() -> Any:
        writer = peer.stream.queue.RangeEncoder()
        for part, model in zip(parts, models, strict=True):
            writer.encode(part, model)
        return writer.get_compressed()

    def decode(data: Any) -> NDArray[np.int32]:
        reader = peer.stream.queue.RangeDecoder(data)
        return np.concatenate([reader.decode(m, len(part)) for part, m in zip(parts, models, strict=True)])

    return CoderTrial("constriction_sorted", encode, decode, lambda data: 4 * len(data), np.concatenate(parts))


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def time_methods(methods: list[CoderTrial], rounds: int) -> tuple[dict[str, Speeds], dict[str, int]]:
    """Median Msym/s of every method, the rounds interleaved so that a busy moment hits all; and bytes."""
    times: dict[str, tuple[list[float], list[float]]] = {method.name: ([], []) for method in methods}
    sizes = {}
    for _ in range(rounds):
        for method in methods:
            spent, data = seconds(method.encode)
            times[method.name][0].append(spent)
            spent, symbols = seconds(lambda method=method, data=data: method.decode(data))  # type: ignore[misc]
            times[method.name][1].append(spent)
            if not np.array_equal(symbols, method.symbols):
                raise RuntimeError(f"{method.name} did not give the symbols back")
            sizes[method.name] = method.size(data)
    n = len(methods[0].symbols) / 1e6
    speeds = {
        name: {"encode": n / statistics.median(encode), "decode": n / statistics.median(decode)}
        for name, (encode, decode) in times.items()
    }
    return speeds, sizes


def time_copy(n: int = 1 << 25) -> float:
    """GB/s read plus written when 128 MiB are copied, more than caches hold: the memory's own limit for one thread."""
    source, target = np.ones(n, np.int32), np.ones(n, np.int32)
    return 2 * source.nbytes / statistics.median(seconds(lambda: np.copyto(target, source))[0] for _ in range(5)) / 1e9


def peers(task: Task) -> tuple[list[CoderTrial], dict[str, str]]:
    """The peers that are installed, and why the others are not used."""
    makers: dict[str, Callable[[], list[CoderTrial]]] = {
        "compressai": lambda: [compressai(task)],
        "constriction": lambda: [constriction(task, "ans"), constriction(task, "range"), constriction_sorted(task)],
    }
    methods, absent = [], {}
    for name, make in makers.items():
        try:
            methods += make()
        except ImportError as error:
            absent[name] = str(error)
    return methods, absent


def best(speeds: dict[str, Speeds], names: list[str]) -> Speeds:
    return {way: max(speeds[name][way] for name in names) for way in ("encode", "decode")}


def ratio(mine: Speeds, theirs: Speeds) -> Speeds:
    return {way: mine[way] / theirs[way] for way in ("encode", "decode")}


def slower_paths() -> list[str]:
    paths = cpu_paths()
    return paths[: paths.index(cpu_path())][::-1]


def measure(n: int = 4_000_000, rounds: int = 5) -> dict[str, Any]:
    """Everything as one JSON object: speeds in Msym/s, sizes in bytes, ratios of our speed to each peer's."""
    task = make_task(n)
    others, absent = peers(task)
    speeds, sizes = time_methods([ours(task), *(ours(task, path) for path in slower_paths()), *others], rounds)
    ratios = {}
    if "compressai" in speeds:
        ratios["compressai"] = ratio(speeds["tessera"], speeds["compressai"])
    if "constriction_ans" in speeds:
        in_order = best(speeds, ["constriction_ans", "constriction_range"])
        ratios["constriction"] = ratio(speeds["tessera"], in_order)
        ratios["constriction_sorted"] = ratio(speeds["tessera"], speeds["constriction_sorted"])
    copy = time_copy()
    # each symbol: 4 bytes of symbol, 1 of index, and its share of the stream
    limit = copy * 1e3 / (5 + sizes["tessera"] / n)
    return {
        "symbols": n,
        "path": cpu_path(),
        "zeros": float((task.symbols == 0).mean()),
        "ideal_bits_per_symbol": task.ideal / n,
        "overhead": {name: 8 * size / task.ideal - 1 for name, size in sizes.items()},
        "bytes": sizes,
        "msymbols_per_second": speeds,
        "ratios": ratios,
        "memory": {
            "copy_gb_per_second": copy,
            "limit_msymbols_per_second": limit,
            "share_of_limit": {way: speed / limit for way, speed in speeds["tessera"].items()},
        },
        "absent": absent,
    }


def table(result: dict[str, Any]) -> str:
    """The result as a few lines of text."""
    lines = [
        f"{result['symbols']:,} symbols, {100 * result['zeros']:.1f} % zeros, "
        f"{result['ideal_bits_per_symbol']:.3f} bits each, path {result['path']}",
        f"{'':<22}{'encode':>10}{'decode':>10}  Msym/s   size over the ideal",
    ]
    for name, speed in result["msymbols_per_second"].items():
        over = 100 * result["overhead"][name]
        lines.append(f"{name:<22}{speed['encode']:>10.1f}{speed['decode']:>10.1f}{over:>17.3f} %")
    for name, speed in result["ratios"].items():
        lines.append(f"{'ratio to ' + name:<30}{speed['encode']:>6.1f}x encode{speed['decode']:>8.1f}x decode")
    memory = result["memory"]
    share = memory["share_of_limit"]
    lines.append(
        f"memory copy {memory['copy_gb_per_second']:.1f} GB/s, so at most {memory['limit_msymbols_per_second']:.0f} "
        f"Msym/s: encode reaches {100 * share['encode']:.0f} %, decode {100 * share['decode']:.0f} %"
    )
    lines += [f"{name} is absent: {reason}" for name, reason in result["absent"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(measure()))

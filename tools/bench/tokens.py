"""Time from a file to a model's tokens: reading .tsr latents beside decoding JPEG or H.264 and making patches.

All make the same number of tokens of the same clip, in turns.  Patches are 16 x 16 pixels, so one token stands for
2 x 2 cells of latents at 1/8, and for one cell of family vqgan, whose indices are read too.  The patch encoder is a
ViT-S/16 (12 layers, width 384) with random weights: its time does not depend on them.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tessera.codec.errors import ParameterError
from tessera.tools.bench.subjects import alternate

Pixels = npt.NDArray[np.uint8]

PATCH = 16
HEIGHT, WIDTH, FRAMES = 352, 640, 8
JPEG_QUALITY, CRF = 90, 23
LONG = 1200  # frames of the file that is searched, of 64 x 64 pixels
PLANTED = (237, 811)
LARGE = (512, 768)  # height and width of the clip whose cells are reduced
COMPARING = ("vq", "dpc", "kcenter", "tome", "greedy")
FIRST = (3, 6, 18)  # channels that are read alone: the low bands, and the gray bands of the next two octaves


class PatchEncoder(nn.Module):
    """ViT-S/16 without its head: (B, N, 768) patches -> (B, N, 384)."""

    def __init__(self, tokens: int, width: int = 384, layers: int = 12, heads: int = 6) -> None:
        super().__init__()
        self.embed = nn.Linear(3 * PATCH * PATCH, width)
        self.place = nn.Parameter(torch.zeros(tokens, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, patches: Tensor) -> Tensor:
        out: Tensor = self.layers(self.embed(patches) + self.place)
        return out


def measure(codec: str = "wavelet", *, runs: int = 5, threads: int | None = None) -> dict[str, Any]:
    """Medians of `runs` alternating runs: seconds, frames per second, ratios peer / ours (above 1: ours is faster).

    `ratio` compares with reading and pooling to the raster of the patches, `ratio_firstN` with the same of the first N
    channels alone, where the family can leave the others undecoded.  `cpu_seconds`, `cpu_ratio` and `cpu_ratio_firstN`
    count the processor's time alone, of all threads: on a busy machine they are steadier.  `reducing_cpu_seconds` is
    the least time of each method that compares tokens with each other, beside the time to read them.  `reading` says
    what part of a long file is read for which purpose.
    """
    if runs < 1:
        raise ParameterError(f"--runs {runs}: at least one run is needed")
    if threads is not None:
        torch.set_num_threads(threads)
    from tessera.data import procedural

    frames = procedural.clip(FRAMES, HEIGHT, WIDTH)
    work, sizes = _work(codec, frames)
    spent: dict[str, list[float]] = {name: [] for name in work}
    with torch.inference_mode():
        seconds = alternate({name: _counted(act, spent[name]) for name, act in work.items()}, runs)
    cpu = {name: median(values) for name, values in spent.items()}
    return {
        "codec": codec,
        "clip": f"{FRAMES} frames {WIDTH}x{HEIGHT}",
        "tokens_per_frame": (HEIGHT // PATCH) * (WIDTH // PATCH),
        "threads": torch.get_num_threads(),
        "runs": runs,
        "bytes": sizes,
        "seconds": seconds,
        "frames_per_second": {name: FRAMES / value for name, value in seconds.items()},
        **_ratios(seconds, "ratio"),
        "cpu_seconds": cpu,
        **_ratios(cpu, "cpu_ratio"),
        "reducing_cpu_seconds": reducing(codec, runs),
        "reading": reading(codec),
    }


def _counted(work: Callable[[], Any], spent: list[float]) -> Callable[[], Any]:
    """The same work, which also appends the processor's time that it took."""

    def counted() -> Any:
        begun = time.process_time()
        made = work()
        spent.append(time.process_time() - begun)
        return made

    return counted


def _ratios(seconds: dict[str, float], name: str) -> dict[str, dict[str, float]]:
    """Peers against all channels, and against the first ones, each named by their number."""
    peers = {peer: value for peer, value in seconds.items() if not peer.startswith("tsr")}
    found = {name: {peer: value / seconds["tsr_pool"] for peer, value in peers.items()}}
    for count in FIRST:
        if f"tsr_first{count}" in seconds:
            ours = seconds[f"tsr_first{count}"]
            found[f"{name}_first{count}"] = {peer: value / ours for peer, value in peers.items()}
    return found


def _work(codec: str, frames: Pixels) -> tuple[dict[str, Callable[[], Any]], dict[str, int]]:
    """What is timed, and the bytes of the three files."""
    import tessera

    count = (HEIGHT // PATCH) * (WIDTH // PATCH)
    coded = tessera.encode(frames, codec=codec, fps=25)
    jpegs, video = [_jpeg(frame) for frame in frames], _h264(frames)
    encoder = PatchEncoder(count).eval()

    raster = (FRAMES, HEIGHT // PATCH, WIDTH // PATCH)

    def tokens(reduce: str, budget: Any, channels: int | None = None) -> Tensor:
        with tessera.open(coded) as clip:
            return clip.tokens(reduce=reduce, budget=budget, channels=channels).x

    work: dict[str, Callable[[], Any]] = {
        "tsr_pool": lambda: tokens("pool", raster),
        **{f"tsr_first{count}": partial(tokens, "pool", raster, count) for count in (FIRST if _begins(coded) else ())},
        "tsr_bits": lambda: tokens("bits", [count] * FRAMES),
        "tsr_all_cells": lambda: tokens("bits", 1.0),
        **({"tsr_ids": lambda: _ids(coded)} if _has_ids(coded) else {}),
        "jpeg_patches": lambda: patchify(_read_jpegs(jpegs)),
        "h264_patches": lambda: patchify(_read_video(video)),
        "jpeg_vit": lambda: encoder(patchify(_read_jpegs(jpegs))),
        "h264_vit": lambda: encoder(patchify(_read_video(video))),
    }
    return work, {"tsr": len(coded), "jpeg": sum(map(len, jpegs)), "h264": len(video)}


def _begins(coded: bytes) -> bool:
    import tessera
    from tessera.models.base.family import ReadsFirst

    with tessera.open(coded) as clip:
        return isinstance(clip.family, ReadsFirst)


def _has_ids(coded: bytes) -> bool:
    import tessera
    from tessera.models.base.discrete import Discrete

    with tessera.open(coded) as clip:
        return isinstance(clip.family, Discrete)


def _ids(coded: bytes) -> Tensor:
    """Codebook indices, each once: (FRAMES, n)."""
    import tessera

    with tessera.open(coded) as clip:
        return clip.tokens(kind="ids").sequence


def patchify(frames: Pixels) -> Tensor:
    """uint8 (T, H, W, 3) -> float (T, N, 768) around 0, patches in raster order."""
    t, h, w, _ = frames.shape
    x = torch.from_numpy(frames).view(t, h // PATCH, PATCH, w // PATCH, PATCH, 3)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(t, -1, 3 * PATCH * PATCH).float().div_(64).sub_(2)


def _jpeg(frame: Pixels) -> bytes:
    from PIL import Image

    blob = io.BytesIO()
    Image.fromarray(frame).save(blob, "JPEG", quality=JPEG_QUALITY)
    return blob.getvalue()


def _read_jpegs(files: list[bytes]) -> Pixels:
    from PIL import Image

    frames = []
    for data in files:
        with Image.open(io.BytesIO(data)) as image:
            frames.append(np.asarray(image))
    return np.stack(frames)


def _h264(frames: Pixels) -> bytes:
    """x264 at its usual preset in Matroska."""
    import av

    blob = io.BytesIO()
    with av.open(blob, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(CRF)})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return blob.getvalue()


def _read_video(data: bytes) -> Pixels:
    import av

    with av.open(io.BytesIO(data), "r") as container:
        container.streams.video[0].codec_context.thread_count = torch.get_num_threads()
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames).astype(np.uint8, copy=False)


def reducing(codec: str, runs: int) -> dict[str, float]:
    """CPU seconds, the least of `runs`: reading the cells of a clip (49,152 of 8 frames at 1/8), and each method that
    compares them, down to 512."""
    import tessera
    from tessera.data import procedural
    from tessera.models.tokens import Adaptive, reduce

    coded = tessera.encode(procedural.clip(FRAMES, *LARGE), codec=codec, fps=25)
    with tessera.open(coded) as clip:
        work: dict[str, Callable[[], Any]] = {"read": clip.latents}
        grid = clip.latents()
        for name in COMPARING:
            work[name] = partial(reduce, grid, name, 512)
        work["greedy, adaptive"] = partial(reduce, grid, "greedy", Adaptive(0.9, 512))
        spent: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(runs):
            for name, act in work.items():
                _counted(act, spent[name])()
    return {name: min(values) for name, values in spent.items()}


# -- what is read ------------------------------------------------------------------------------------------------------


def reading(codec: str) -> dict[str, Any]:
    """Bytes read of a long file: to open it, to find two planted frames, to see every frame at level 0.

    Level 0 is what `preview` makes of the first tenth of every group, the file being open.
    """
    import tessera
    from tessera.codec.reading.prefix import preview
    from tessera.codec.reading.tokens import search

    coded = tessera.encode(_long_clip(), codec=codec, fps=25, gop=1)
    with tessera.open(coded) as clip:
        opened = clip.bytes_read
        grid = clip.latents(PLANTED[0], PLANTED[0] + 1)
        query = grid.x[0, grid.x.shape[1] * 9 // 16, grid.x.shape[2] * 9 // 16]  # within the tile
        begun = clip.bytes_read
        found = search(clip, query, picks=len(PLANTED))
        searched = clip.bytes_read - begun
    with tessera.open(coded) as clip:
        coarse = preview(clip, 0, LONG)
        seen = clip.bytes_read - opened
    return {
        "bytes": len(coded),
        "frames": LONG,
        "opened_bytes": opened,
        "search_bytes": searched,
        "level0_bytes": seen,
        "opened_share": opened / len(coded),
        "search_share": searched / len(coded),
        "search_recall": len(set(found) & set(PLANTED)) / len(PLANTED),
        "level0_share": seen / len(coded),
        "level0_cells": coarse.grid.x[..., 0].numel(),
    }


def _long_clip() -> Pixels:
    """(LONG, 64, 64, 3): a street that pans, a red tile in two single frames."""
    from tessera.data import procedural

    wide = procedural.picture(64, 64 + LONG)
    frames: Pixels = np.stack([wide[:, t : t + 64] for t in range(LONG)])
    for t in PLANTED:
        frames[t, 24:48, 24:48] = (230, 20, 20)
    return frames

"""What the bits of an entropy model add to choosing tokens; and where they do not help.

Every frame of the wavelet family is coded by itself.  So its bits say how rich a place is, never how new it is: the
claims about novelty over time are limits there, tested as such.  They hold of family spatiotemporal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import tessera
from tessera.data import procedural
from tessera.models.tokens import TokenGrid, reduce, start
from tessera.models.tokens.methods.pool import slow_frames
from tessera.models.tokens.methods.scores import Context, score
from tessera.models.tokens.modules.slices import allocate
from tessera.models.tokens.modules.timeline import frame_change, partition_bits, partition_change

from ...support.kernel_paths import threads
from ...support.token_samples import random_grid, rank_correlation

Pixels = NDArray[np.uint8]


def read(frames: Pixels, quality: float = 50) -> tuple[TokenGrid, int]:
    """The grid of a clip and the bytes of its payloads."""
    with tessera.open(tessera.encode(frames, codec="wavelet", fps=25, quality=quality)) as clip:
        return clip.latents(), sum(entry.size for entry in clip.reader.entries)


def bits_of(grid: TokenGrid) -> torch.Tensor:
    assert grid.bits is not None
    return grid.bits


@pytest.fixture(scope="module")
def scene() -> tuple[TokenGrid, int]:
    return read(procedural.clip(6, 128, 192))


def test_claim_1_bits_are_a_by_product(scene: tuple[TokenGrid, int]) -> None:
    """They sum to the payload, chunk heads aside; no network is run to get them, no query, no attention map."""
    grid, payload = scene
    heads = 16 * len(grid.x)  # type, length, checksum and group head of a chunk
    assert float(bits_of(grid).sum()) / 8 == pytest.approx(payload - heads, rel=0.01)
    assert not reduce(grid, "bits", 32).query_dependent


def with_square(t0: int, t1: int, frames: int = 12) -> Pixels:
    """A still picture with a textured square in frames t0..t1-1 and again at the end."""
    still = procedural.picture(64, 96)
    clip = np.repeat(still[None], frames, 0)
    patch = procedural.picture(16, 16, seed=4)
    for t in (*range(t0, t1), frames - 1):
        clip[t, 24:40, 40:56] = patch
    return clip


def test_claim_2_limit_bits_of_single_frames_know_no_past() -> None:
    """A still clip costs the same bits in every frame: novelty over time needs `temporal` or `change`, which find the
    square's onset and its return."""
    grid, _ = read(with_square(4, 7))
    per_frame = bits_of(grid).flatten(1).sum(1)
    assert float(per_frame[:4].max()) == float(per_frame[:4].min())
    for name in ("temporal", "change"):
        found = score(Context(grid), name).flatten(1).sum(1)
        assert set(found[1:].topk(3).indices.tolist()) == {3, 6, 10}, "frames 4, 7 and 11"


@pytest.fixture(scope="module")
def predicted() -> TokenGrid:
    """A still clip with a square that comes, goes and comes again; each frame predicted from the one before."""
    frames = with_square(4, 7)
    with tessera.open(tessera.encode(frames, codec="spatiotemporal", fps=25, quality=50, depth=0)) as clip:
        return clip.latents()


def test_claim_2_bits_of_predicted_frames_say_what_is_new(predicted: TokenGrid) -> None:
    """The square costs bits where it comes and where it goes, and next to nothing while it stays."""
    spent = bits_of(predicted)
    square = torch.zeros(spent.shape[1:], dtype=torch.bool)
    square[3:5, 5:7] = True
    new = [4, 7, 11]
    assert sorted((1 + spent[1:].flatten(1).sum(1).topk(3).indices).tolist()) == new
    for frame in new:
        assert float(spent[frame][square].mean()) > 8 * float(spent[frame][~square].mean())
    assert float(spent[6].max()) < 0.1 * float(spent[4][square].mean())
    kept = reduce(predicted, "bits", [0, 0, 0, 0, 4, 0, 0, 4, 0, 0, 0, 4]).index % square.numel()
    assert set(kept.tolist()) == set(square.flatten().nonzero().flatten().tolist())


def test_claim_6_bits_are_expected_before_decoding() -> None:
    """Motion and prediction alone, known before the symbols, name many of the cells that cost most."""
    with tessera.open(tessera.encode(procedural.clip(8, 128, 192), codec="spatiotemporal", fps=25)) as clip:
        grid = clip.latents(bits_prior=True)
    assert grid.bits_prior is not None
    later = grid.frame_type == 1
    expected, spent = (bits[later].flatten().tolist() for bits in (grid.bits_prior, bits_of(grid)))
    assert rank_correlation(expected, spent) > 0.7


def test_claim_3_bits_see_contrast() -> None:
    """The same texture growing stronger: directions stay, so cosine sees little; bits rise with every step."""
    texture = procedural.picture(64, 64, seed=2).astype(np.float32) - 128
    texture -= texture.mean((0, 1))
    ramp = np.stack([np.clip(128 + texture * gain, 0, 255) for gain in (0.3, 0.45, 0.6, 0.8, 1.0)]).astype(np.uint8)
    grid, _ = read(ramp, quality=90)
    bands = TokenGrid(**{**vars(grid), "x": grid.x[..., 3:]})  # without the mean, which does not change
    per_frame = bits_of(grid).flatten(1).sum(1)
    assert bool((per_frame[1:] > 1.03 * per_frame[:-1]).all())
    assert float(score(Context(bands), "temporal")[1:].mean()) < 0.25
    exact = torch.outer(torch.linspace(0.3, 1, 5), torch.randn(16)).view(5, 1, 1, 16)
    assert float(score(Context(TokenGrid(**{**vars(random_grid(5, 1, 1)), "x": exact})), "temporal")[1:].max()) < 1e-6


def test_claim_4_bits_add_up(scene: tuple[TokenGrid, int]) -> None:
    """One pass of prefix sums cuts a million frames into cubes of equal bits."""
    spent = torch.rand(1_000_000, generator=torch.Generator().manual_seed(0))
    runs = partition_bits(spent, 1000)
    sums = torch.tensor([float(spent[a:b].sum()) for a, b in runs])
    assert float(sums.std() / sums.mean()) < 0.01
    tiles = bits_of(scene[0]).view(6, 2, 8, 2, 12).sum((2, 4))
    assert float(tiles.sum()) == pytest.approx(float(bits_of(scene[0]).sum()), rel=1e-5)


def sprites(count: int) -> Pixels:
    """A plain ground with `count` small textured squares."""
    frame = np.full((64, 128, 3), 118, np.uint8)
    for k in range(count):
        y, x = 8 + 28 * (k // 4), 4 + 32 * (k % 4)
        frame[y : y + 20, x : x + 20] = procedural.picture(20, 20, seed=k)
    return frame[None]


def test_claim_5_bits_compare_across_files() -> None:
    """Files of 0..8 sprites share a budget by their bits: richer ones get more."""
    grids = [read(sprites(k))[0] for k in range(9)]
    found = allocate(grids, 300, by="bits", floor=4)
    assert sum(found) == 300 and found[0] == min(found) <= 5
    assert rank_correlation(range(9), found) >= 0.9
    even = allocate(grids, 300, by="area", floor=4)
    assert max(even) - min(even) <= 1


def test_claim_6_limit_choice_before_decoding_is_by_group(scene: tuple[TokenGrid, int]) -> None:
    """The index gives the bits of each group before anything is decoded (test_groups_are_chosen_before_decoding); the
    family has no map of expected bits within a group, and says so."""
    assert scene[0].bits_prior is None
    with pytest.raises(ValueError, match="needs bits_prior"):
        reduce(scene[0], "bits_prior", 16)


@pytest.mark.parametrize("name", ["bits", "novelty", "cuts", "l2", "kcenter", "tome", "runs", "vq"])
def test_claim_7_both_ends_choose_the_same(name: str) -> None:
    """Whoever reads the file finds the same mask, with one thread or two: not a bit is spent to send it."""
    data = tessera.encode(procedural.clip(3, 64, 96), codec="wavelet", fps=25)
    found = []
    for count in (1, 2):
        with threads(count), tessera.open(data) as clip:
            found.append(clip.tokens(reduce=name, budget=40))
    assert torch.equal(found[0].assign, found[1].assign) and torch.equal(found[0].index, found[1].index)


def test_claim_8_search_reads_the_index_first() -> None:
    """A store of files is ranked by reading their ends: header and index alone."""
    files = [tessera.encode(np.repeat(sprites(k), 20, 0), codec="wavelet", fps=25, gop=2) for k in (2, 7, 0, 4)]
    spent, share = [], []
    for data in files:
        with tessera.open(data) as clip:
            spent.append(8 * sum(entry.size for entry in clip.reader.entries))
            share.append(clip.bytes_read / len(data))
    assert sorted(range(4), key=lambda k: spent[k]) == [2, 0, 3, 1]
    assert max(share[k] for k in (0, 1, 3)) < 0.1


def test_claim_9_a_point_of_rate_and_tokens() -> None:
    """Each quality and budget is one point: bits of the file, tokens, bits that the tokens hold."""
    clip = procedural.clip(2, 64, 96)
    points = []
    for quality in (20, 50, 80):
        grid, payload = read(clip, quality)
        kept = reduce(grid, "bits", 48)
        held = bits_of(grid).flatten()
        points.append((8 * payload, len(kept), float(held[kept.index].sum() / held.sum())))
    assert [n for _, n, _ in points] == [48] * 3
    assert points[0][0] < points[1][0] < points[2][0]
    assert all(share > 48 / 192 for _, _, share in points), "better than an even share"


def cuts(frames: int = 24) -> Pixels:
    """Three scenes of a slow pan, cut at frames 9 and 16."""
    scenes = [procedural.clip(frames, 64, 96, seed=seed) for seed in (0, 5, 9)]
    inverted = [scenes[0], 255 - scenes[1], scenes[2][:, ::-1]]
    return np.stack([inverted[(t >= 9) + (t >= 16)][t] for t in range(frames)])


def test_claim_10_limit_slow_and_fast_need_similarity_here() -> None:
    """Similarity finds the cuts.  Bits of frames that are coded alone mark nearly every frame as slow."""
    grid, _ = read(cuts())
    assert [a for a, _ in partition_change(frame_change(grid), 3)] == [0, 9, 16]
    by_similarity = slow_frames(start(grid), Context(grid), threshold=0.8)
    by_bits = slow_frames(start(grid), Context(grid), by="bits")
    assert all(by_similarity[t] for t in (0, 9, 16)) and sum(by_similarity) < 12
    assert sum(by_bits) == 24


def test_claim_10_the_frames_that_cost_most_are_the_cuts() -> None:
    with tessera.open(tessera.encode(cuts(), codec="spatiotemporal", fps=25, quality=50, depth=0)) as clip:
        kept = reduce(clip.latents(), "frames", 3)
    assert kept.frames.unique().tolist() == [0, 9, 16]


# -- limits ------------------------------------------------------------------------------------------------------------


def test_limit_bits_follow_grain() -> None:
    """Grain on one half draws the tokens there: bits say texture, not meaning.  A cell cap bounds the damage."""
    frame = procedural.picture(64, 96)
    noisy = frame.copy()
    grain = np.random.default_rng(0).normal(0, 25, (64, 48, 3))
    noisy[:, :48] = np.clip(frame[:, :48] + grain, 0, 255).astype(np.uint8)

    def left_share(picture: Pixels, **options: Any) -> float:
        kept = reduce(read(picture[None])[0], "select", 24, **options)
        return float((kept.pos[:, 2] < 6).float().mean())

    assert left_share(noisy) > left_share(frame) + 0.1
    assert left_share(noisy, cell=2) < left_share(noisy)


def test_limit_the_map_depends_on_the_rate() -> None:
    """Neighbouring qualities rank cells alike, distant ones less."""
    clip = procedural.clip(2, 64, 96)
    maps = {quality: bits_of(read(clip, quality)[0]).flatten().tolist() for quality in (10, 45, 50, 95)}
    near, far = (rank_correlation(maps[50], maps[other]) for other in (45, 10))
    assert near > 0.95 and far < near

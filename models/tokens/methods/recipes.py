"""Recipes: chains of methods under the name of the system that they follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Step = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """A chain of methods: steps (name, options); an intermediate step's budget is its option `budget`, or `times` the
    number of tokens that the chain ends with."""

    name: str
    summary: str
    steps: tuple[Step, ...] = field(default=())
    rows: tuple[int, ...] = ()


_RECIPES = (
    Recipe(
        "dcode",
        "uniform and diverse frames, long vectors, similar ones merged (D-CoDe)",
        (("diverse_frames", {"budget": 0.5}), ("l2", {"times": 1.25, "each": True}), ("tome", {})),
        (4,),
    ),
    Recipe(
        "bvllm",
        "frames and tokens near the query, repeats dropped, merged to the count (B-VLLM)",
        (
            ("frames", {"score": "query", "budget": 0.5}),
            ("drop_repeats", {"budget": 1.0}),
            ("query", {"times": 2.0}),
            ("tome", {"scope": "clip"}),
        ),
        (11,),
    ),
    Recipe(
        "fastvid",
        "static runs along time merged, then density peaks in every frame (FastVID)",
        (("runs", {"times": 2.0}), ("dpc", {})),
        (5,),
    ),
    Recipe(
        "prunevid",
        "static runs along time merged, then similar cells of a frame (PruneVid, HoliTom, DyCoke)",
        (("runs", {"times": 2.0}), ("tome", {})),
        (5,),
    ),
    Recipe("divprune", "greedy k-center (DivPrune, ToDRE)", (("kcenter", {}),), (5, 50)),
    Recipe("evs", "least like the frame before, frame 0 whole (vLLM's EVS)", (("temporal", {}),), (5,)),
    Recipe(
        "dymu",
        "bipartite merging; give Adaptive(threshold, cap) to let content decide (DyMU, ToMe)",
        (("tome", {}),),
        (41,),
    ),
    Recipe("fourier", "lowest cosine coefficients (Fourier-VLM)", (("dct", {}),), (14,)),
    Recipe("ppllava", "pooling weighted by the query (PPLLaVA)", (("qpool", {}),), (1,)),
    Recipe("kffocus", "tokens per frame by its bits (KFFocus)", (("cuts", {}),), (3,)),
    Recipe("keye", "slow and fast frames (Kwai Keye-VL 1.5)", (("slowfast", {}),), (48,)),
    Recipe("tsllava", "thumbnail and samples (TS-LLaVA)", (("thumbnail", {}),), (18,)),
    Recipe("vqtoken", "codebook and index map (VQToken)", (("vq", {}),), (28,)),
    Recipe("setok", "density peaks; give Adaptive(r, cap) to let content decide (SeTok)", (("dpc", {}),), (78,)),
    Recipe(
        "freevideo",
        "frames near the query, then the box near the query (Free Video-LLM)",
        (("frames", {"score": "query", "budget": 0.5}), ("crop", {})),
        (72,),
    ),
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _RECIPES}

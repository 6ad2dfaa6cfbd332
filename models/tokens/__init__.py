"""Latents as tokens: from the grid of a file to what a language model takes, at any budget.

grid = clip.latents()                                 TokenGrid, no pixels are made
tokens = reduce(grid, "tome", 256)                    TokenSet
tokens.to_transformers(ids, embed, projector=...)     what a model's forward takes
"""

from __future__ import annotations

from ..interface import TokenGrid as TokenGrid
from .budget import Adaptive as Adaptive
from .budget import Bits as Bits
from .budget import Budget as Budget
from .recipes import RECIPES as RECIPES
from .reducing import parse_budget as parse_budget
from .reducing import reduce as reduce
from .registry import METHODS as METHODS
from .registry import list_methods as list_methods
from .schedule import LayerSchedule as LayerSchedule
from .scores import SCORES as SCORES
from .types import TokenSet as TokenSet
from .types import join as join
from .types import start as start

"""Latents as tokens: from the grid of a file to what a language model takes, at any budget.

grid = clip.latents()                                 TokenGrid, no pixels are made
tokens = reduce(grid, "tome", 256)                    TokenSet
tokens.to_transformers(ids, embed, projector=...)     what a model's forward takes
"""

from __future__ import annotations

from .grid import TokenGrid as TokenGrid
from .methods.budget import Adaptive as Adaptive
from .methods.budget import Bits as Bits
from .methods.budget import Budget as Budget
from .methods.budget import checked_budget as checked_budget
from .methods.budget import parse_budget as parse_budget
from .methods.recipes import RECIPES as RECIPES
from .methods.registry import METHODS as METHODS
from .methods.registry import list_methods as list_methods
from .methods.scores import SCORES as SCORES
from .reduce import asks_for as asks_for
from .reduce import reduce as reduce
from .rows import join as join
from .types import LayerSchedule as LayerSchedule
from .types import TokenSet as TokenSet
from .types import start as start

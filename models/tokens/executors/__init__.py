"""Executors: what a schedule of vision tokens asks for, carried out inside a decoder model of Hugging Face by hooks.

with fastv(places, layer=2, keep=0.5).on(model):
    model.generate(**inputs)
"""

from __future__ import annotations

from .attending import LowBits as LowBits
from .attending import Masked as Masked
from .attending import Unmerged as Unmerged
from .rows import Following as Following
from .rows import Ranked as Ranked
from .rows import Skipping as Skipping
from .rows import fastv as fastv
from .rows import feather as feather
from .rows import pyramid_drop as pyramid_drop
from .speculative import Speculated as Speculated
from .speculative import speculate as speculate

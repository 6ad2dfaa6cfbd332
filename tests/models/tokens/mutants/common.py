"""What several methods are replaced by."""

from __future__ import annotations

from typing import Any

from tessera.models.tokens import TokenSet
from tessera.models.tokens.methods.frames import tokens_wanted
from tessera.models.tokens.rows import take

from ....support.mutation import drawn


def random_tokens(f: Any) -> Any:
    """A random subset of the right number, whatever the method."""

    def run(tokens: TokenSet, budget: Any, context: Any, **options: Any) -> TokenSet:
        count = tokens_wanted(budget, tokens, context)
        return take(tokens, drawn(len(tokens)).argsort()[:count].sort().values)

    return run

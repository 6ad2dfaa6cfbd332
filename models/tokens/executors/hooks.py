"""Hooks on the layers of a decoder model: which rows of the prompt a layer computes, and what its attention does.

A layer that computes some rows only gets these rows, with their positions, and its results are put back among the
others, which pass the layer unchanged.  So hidden states keep the length of the prompt between layers, whatever is
dropped, and the layer's cache holds the computed rows only.  Layer 0 computes every row: models count the length of
their cache there.

Attention is reached through the registry of attention functions of transformers, where queries, keys and values arrive
behind the rotary positions and the cache, in every model alike.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...base.errors import ParameterError
from ..arguments import flags

NAME = "tessera"  # of our attention function in the registry of transformers
Attention = Callable[..., tuple[Tensor, Any]]


class Executor:
    """One prompt, batch size 1, in a decoder whose layers are called in order.

    Subclasses say what happens: `fits`, `rows_of`, `mask_of`, `watches`, `see`, `attend`, `keep_cache`.

    Layers compute other rows for every prompt, so batches are refused: run prompts one by one.  Padding in front of a
    prompt is left out of every choice.

    Args:
        places: bool (L,), where the vision tokens stand in the prompt: `batch["places"][0]` of a `TokenProcessor`.
    """

    rewrites = False  # whether `attend` of this class replaces the attention of every layer

    def __init__(self, places: Tensor) -> None:
        if getattr(places, "ndim", 1) == 2:
            raise ParameterError("places are bool (L,), of one prompt: give places[0], and run prompts one by one")
        self.places = places = flags("places", places, 1)
        self.length = len(places)
        self.vision = places.nonzero().squeeze(1)
        self.text = (~places).nonzero().squeeze(1)
        self.keys: dict[int, Tensor] = {}  # layer -> rows of the prompt whose keys its cache holds
        self.rotation: dict[int, tuple[Tensor, Tensor]] = {}  # layer -> cos, sin of these rows, and of generated ones
        self.model: Any = None

    # -- what subclasses say -------------------------------------------------------------------------------------------

    def fits(self, layers: int) -> None:
        """ParameterError where a model of so many layers cannot carry this out."""

    def rows_of(self, layer: int) -> Tensor | None:
        """int64 (K,) rows of the prompt that the layer computes, ascending; None: all."""
        return None

    def mask_of(self, queries: Tensor, keys: Tensor) -> Tensor | None:
        """bool (Q, K), which rows may attend to which besides causality; rows from `length` on were generated."""
        return None

    def watches(self, layer: int) -> bool:
        """Whether `see` is called in this layer."""
        return False

    def see(self, layer: int, query: Tensor, key: Tensor, seen: Tensor | None) -> None:
        """Look at the prompt's queries (H, L, d) and keys (H, L, d) of a layer, before anything later runs.

        `seen` bool (L,) are the keys that the last row may attend to, None: all.
        """

    def attend(
        self, layer: int, module: nn.Module, original: Attention, given: tuple[Any, ...], options: Any
    ) -> tuple[Tensor, Any]:
        """The attention of one layer; `given` are query, key, value and mask."""
        return original(module, *given, **options)

    def keep_cache(self, layer: int, cached: Any) -> None:
        """Change the layer's part of the cache once the prompt is in it."""

    # -- carried out ---------------------------------------------------------------------------------------------------

    @contextmanager
    def on(self, model: Any) -> Iterator[Executor]:
        """Hook a model for the time of a `with` block.

        Args:
            model: A decoder model of Hugging Face, with attention sdpa or eager.

        Yields:
            This executor.

        Raises:
            ParameterError: The attention of the model is of another kind, it has fewer layers than the executor needs,
                or another executor is on it.
        """
        if not hasattr(model, "get_decoder"):
            raise ParameterError(f"model is a decoder model of Hugging Face, not {type(model).__name__}")
        decoder = model.get_decoder()
        kind = decoder.config._attn_implementation
        if getattr(decoder, "_tessera", False):
            raise ParameterError("model has an executor already: leave its `with` block first")
        self.fits(len(decoder.layers))
        if kind not in ("sdpa", "eager"):
            raise ParameterError(f"executors need attn_implementation sdpa or eager, not {kind}")
        self.model = model
        with ExitStack() as stack:
            decoder._tessera = True
            stack.callback(delattr, decoder, "_tessera")
            for number, layer in enumerate(decoder.layers):
                call = _Call(self, number, kind == "eager")
                stack.callback(layer.register_forward_pre_hook(call.before, with_kwargs=True).remove)
                stack.callback(layer.register_forward_hook(call.after, with_kwargs=True).remove)
                if self.rewrites or self.watches(number):
                    stack.enter_context(_own_attention(layer.self_attn, self, number, kind))
            yield self

    def is_prompt(self, length: int, past: int) -> bool:
        """Whether a call holds the prompt, rather than what was generated behind it."""
        if past == 0 and length != self.length:
            raise ParameterError(f"places are of a prompt of {self.length} positions, this one has {length}")
        return past == 0


class _Call:
    """The hooks of one layer."""

    def __init__(self, executor: Executor, layer: int, eager: bool) -> None:
        self.executor, self.layer, self.eager = executor, layer, eager
        self.waiting: tuple[Tensor, Tensor] | None = None  # all hidden states, and the rows that the layer computes

    def before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        executor, layer = self.executor, self.layer
        hidden = args[0]
        if len(hidden) != 1:
            raise ParameterError(f"executors take one prompt at a time, not {len(hidden)}: run them one by one")
        rows = queries = torch.arange(executor.length, device=hidden.device)
        held = _cached(kwargs, layer)
        past = 0 if held is None else int(held.get_seq_length())
        self.waiting = None
        if executor.is_prompt(hidden.shape[1], past):
            chosen = executor.rows_of(layer)
            if chosen is not None and len(chosen) < executor.length:
                if layer == 0:
                    raise ParameterError("layer 0 computes every row: the length of the cache is counted there")
                rows = queries = chosen.to(hidden.device)
                self.waiting = (hidden, rows)
                hidden = hidden[:, rows]
                kwargs = _only(kwargs, rows)
            executor.keys[layer] = keys = rows
            executor.rotation[layer] = kwargs["position_embeddings"]
        else:
            first = executor.length + past - len(executor.keys[layer])
            queries = torch.arange(first, first + hidden.shape[1], device=hidden.device)
            fresh = torch.arange(executor.length, int(queries[-1]) + 1, device=hidden.device)
            keys = torch.cat([executor.keys[layer], fresh])
            known = zip(executor.rotation[layer], kwargs["position_embeddings"], strict=True)
            cos, sin = (torch.cat(pair, 1) for pair in known)
            executor.rotation[layer] = cos, sin
        mask = self._mask(kwargs.get("attention_mask"), queries, keys)
        return (hidden, *args[1:]), {**kwargs, "attention_mask": mask}

    def _mask(self, base: Tensor | None, queries: Tensor, keys: Tensor) -> Tensor | None:
        """The model's mask of these rows, and the executor's; None where causality is all and the model sees to it."""
        own = self.executor.mask_of(queries, keys)
        whole = len(queries) == len(keys) or len(queries) == 1
        if own is None and base is None and whole:
            return None
        if base is not None and base.shape[-2] >= len(queries) and base.shape[-1] > int(keys[-1]):
            at = queries if base.shape[-2] > len(queries) else torch.arange(len(queries), device=keys.device)
            base = base[..., at, :][..., keys]
            seen = base if base.dtype == torch.bool else base == 0
            if not bool(seen[0, 0, -1, -1]):
                raise ParameterError("the prompt ends with padding: pad in front (padding_side left), or not at all")
        else:
            seen = (keys[None] <= queries[:, None])[None, None]
        seen = seen if own is None else seen & own
        return torch.where(seen, 0.0, torch.finfo(torch.float32).min) if self.eager else seen

    def after(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        held = _cached(kwargs, self.layer)
        if held is not None and int(held.get_seq_length()) == len(self.executor.keys[self.layer]):
            self.executor.keep_cache(self.layer, held)
        if self.waiting is None:
            return output
        full, rows = self.waiting
        self.waiting = None
        return full.index_copy(1, rows, output)


def _cached(kwargs: dict[str, Any], layer: int) -> Any:
    """The layer's part of the cache, or None."""
    cache = kwargs.get("cache", kwargs.get("past_key_values"))
    if cache is None or len(cache.layers) <= layer:
        return None
    return cache.layers[layer]


def _only(kwargs: dict[str, Any], rows: Tensor) -> dict[str, Any]:
    """The arguments of a layer for some rows."""
    cos, sin = kwargs["position_embeddings"]
    found = {**kwargs, "position_embeddings": (cos[:, rows], sin[:, rows])}
    if found.get("position_ids") is not None:
        found["position_ids"] = found["position_ids"][..., rows]
    return found


# -- attention ---------------------------------------------------------------------------------------------------------


@contextmanager
def _own_attention(module: Any, executor: Executor, layer: int, kind: str) -> Iterator[None]:
    """Send the attention of one module through the executor."""
    from transformers import AttentionInterface
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    AttentionInterface.register(NAME, _attend)
    plain = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    original = ALL_ATTENTION_FUNCTIONS.get_interface(kind, plain)
    before = module.config
    module.config = copy.copy(before)
    module.config._attn_implementation = NAME
    module._tessera = executor, layer, original
    try:
        yield
    finally:
        module.config = before
        del module._tessera


def _attend(module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any) -> Any:
    """Stands in the registry of transformers."""
    executor, layer, original = module._tessera
    if executor.watches(layer) and query.shape[2] == key.shape[2] == len(executor.keys[layer]):
        groups = query.shape[1] // key.shape[1]
        executor.see(layer, query[0], key[0].repeat_interleave(groups, 0), seen_by_last(mask))
    return executor.attend(layer, module, original, (query, key, value, mask), options)


def seen_by_last(mask: Tensor | None) -> Tensor | None:
    """bool (K,) the keys that the last row may attend to, of a mask of attention functions; None: all."""
    if mask is None:
        return None
    last = mask[0, 0, -1]
    return last if last.dtype == torch.bool else last == 0


def last_attention(query: Tensor, key: Tensor, seen: Tensor | None) -> Tensor:
    """(L,) what the last row pays to every key, mean over heads (H, L, d)."""
    score = (query[:, -1:] @ key.transpose(1, 2)).float() / query.shape[-1] ** 0.5
    if seen is not None:
        score = score.masked_fill(~seen, -torch.inf)
    paid: Tensor = score.softmax(-1)[:, 0].mean(0)
    return paid


def rotate(x: Tensor, angles: Sequence[Tensor], back: bool = False) -> Tensor:
    """Turn (..., S, d) by rotary positions, cos and sin (S, d), or turn it back."""
    cos, sin = angles
    a, b = x.chunk(2, -1)
    turned = torch.cat([-b, a], -1)
    if not back:
        return x * cos + turned * sin
    return (x * cos - turned * sin) / (cos**2 + sin**2)

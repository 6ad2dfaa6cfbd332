"""Tiny random models of transformers, one of every kind that takes vision tokens, and the input of their pixel path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tessera.models.tokens.prompt.kinds import ModelKind
from tessera.tools.peers.mend import mend_torchvision

IMAGE, VIDEO, START, END = 59, 60, 61, 62
WIDTH = 32
TEXT: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512,
    "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2,
}  # fmt: skip
SECONDS = 0.5  # of one step of a clip of Qwen2.5-VL


@dataclass
class Case:
    """What a model gets on its pixel path.

    shape       (t, h, w) of the tokens; tiles and frames count as t
    ids         (1, S) with a placeholder per token
    short       the same with one placeholder per run
    pixels      further arguments of `forward` and `generate`
    """

    shape: tuple[int, int, int]
    ids: Tensor
    short: Tensor
    pixels: dict[str, Any]


def names() -> list[str]:
    return [*_CONFIGS]


def make(kind: str, layers: int = 2, seed: int = 0, **more: Any) -> Any:
    """A model of the kind, random weights, all in float32."""
    mend_torchvision()  # transformers imports torchvision where there is one
    import transformers

    config, model, given = _CONFIGS[kind]()
    given["text_config"] |= {"num_hidden_layers": layers, **more}
    torch.manual_seed(seed)
    return _loud(getattr(transformers, model)(getattr(transformers, config)(**given)))


def llama(layers: int = 2, seed: int = 0, **more: Any) -> Any:
    """A plain decoder."""
    mend_torchvision()
    import transformers

    torch.manual_seed(seed)
    config = transformers.LlamaConfig(**{**TEXT, "num_hidden_layers": layers, **more})
    return _loud(transformers.LlamaForCausalLM(config))


def _loud(model: Any) -> Any:
    """Weights so large that attention prefers one token over another, else little depends on anything."""
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.mul_(10)
    return model.requires_grad_(False).eval()


def case(kind: str) -> Case:
    """A prompt with vision, and its pixels."""
    generator = torch.Generator().manual_seed(1)
    if "qwen" in kind:
        return _qwen(kind, generator)
    placeholder, shape = IMAGE, (3, 2, 2)
    pixels: dict[str, Any] = {}
    if kind == "llava_onevision":
        placeholder = VIDEO
        pixels["pixel_values_videos"] = torch.randn(1, 3, 3, 16, 16, generator=generator)
    elif kind in ("smolvlm", "idefics3"):
        pixels["pixel_values"] = torch.randn(1, 3, 3, 16, 16, generator=generator)
    else:
        pixels["pixel_values"] = torch.randn(3, 3, 16, 16, generator=generator)
    runs = 1 if kind in ("llava_onevision", "internvl") else 3
    each = 12 // runs + (kind == "llava_onevision")
    return Case(shape, _prompt(placeholder, each, runs), _prompt(placeholder, 1, runs), pixels)


def features(model: Any, kind: str, given: Case) -> Tensor:
    """(N, D) what the model's own vision part makes of the pixels; with DeepStack (N, D * (1 + layers))."""
    arguments = {name: given.pixels[name] for name in given.pixels if name not in ("mm_token_type_ids",)}
    medium = "video" if any("video" in name for name in arguments) else "image"
    arguments = {name: value for name, value in arguments.items() if name != "second_per_grid_ts"}
    with torch.no_grad():
        seen = getattr(model.model, f"get_{medium}_features")(**arguments)
    found = seen.pooler_output
    rows = found.flatten(0, 1) if isinstance(found, Tensor) else torch.cat(list(found))
    if kind == "llava_onevision":
        rows = rows[:-1]  # the adapter puts the last vector there itself
    added = [torch.cat(list(layer)) for layer in getattr(seen, "deepstack_features", None) or []]
    return torch.cat([rows, *added], 1)


def _prompt(placeholder: int, each: int, runs: int) -> Tensor:
    """Text, then runs with something between them, then text."""
    inside: list[int] = []
    for number in range(runs):
        inside += [10 + number, START, *[placeholder] * each, END]
    return torch.tensor([[5, 6, 7, *inside, 8, 9]])


def _qwen(kind: str, generator: torch.Generator) -> Case:
    t, h, w = 3, 2, 3
    runs = 3 if kind == "qwen3_vl" else 1
    ids = _prompt(VIDEO, t * h * w // runs, runs)
    pixels: dict[str, Any] = {
        "pixel_values_videos": torch.randn(t * 2 * h * 2 * w, 3 * 2 * 4 * 4, generator=generator),
        "video_grid_thw": torch.tensor([[t, 2 * h, 2 * w]]),
        "mm_token_type_ids": (ids == VIDEO).int() * 2,
    }
    if kind == "qwen2_5_vl":
        pixels["second_per_grid_ts"] = torch.tensor([SECONDS])
    return Case((t, h, w), ids, _prompt(VIDEO, 1, runs), pixels)


# -- configurations: (configuration, model, arguments) -----------------------------------------------------------------

Made = tuple[str, str, dict[str, Any]]


def _qwen_config(kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    text = {**TEXT, "rope_parameters": rope}
    vision: dict[str, Any] = {"depth": 2, "num_heads": 2, "patch_size": 4, "spatial_merge_size": 2}
    ids = {"video_token_id": VIDEO, "image_token_id": IMAGE, "vision_start_token_id": START, "vision_end_token_id": END}
    return vision, {"text_config": text, "vision_config": vision, **ids}


def _qwen2() -> Made:
    vision, given = _qwen_config("qwen2_vl")
    vision |= {"embed_dim": 32, "hidden_size": WIDTH, "mlp_ratio": 2}
    return "Qwen2VLConfig", "Qwen2VLForConditionalGeneration", given


def _qwen2_5() -> Made:
    vision, given = _qwen_config("qwen2_5_vl")
    vision |= {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": WIDTH, "window_size": 16}
    vision |= {"fullatt_block_indexes": [1], "tokens_per_second": 4}
    return "Qwen2_5_VLConfig", "Qwen2_5_VLForConditionalGeneration", given


def _qwen3() -> Made:
    vision, given = _qwen_config("qwen3_vl")
    given["text_config"]["head_dim"] = 16
    vision |= {"hidden_size": 32, "intermediate_size": 64, "out_hidden_size": WIDTH, "num_position_embeddings": 16}
    vision |= {"deepstack_visual_indexes": [0, 1]}
    return "Qwen3VLConfig", "Qwen3VLForConditionalGeneration", given


def _siglip(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    return {**given, "image_size": 16, "patch_size": 4, **more}


def _llama(**more: Any) -> dict[str, Any]:
    return {**TEXT, "model_type": "llama", **more}


def _smolvlm() -> Made:
    given = {"text_config": _llama(), "vision_config": _siglip(), "image_token_id": IMAGE}
    return "SmolVLMConfig", "SmolVLMForConditionalGeneration", {**given, "scale_factor": 2, "pad_token_id": 0}


def _idefics3() -> Made:
    return "Idefics3Config", "Idefics3ForConditionalGeneration", _smolvlm()[2]


def _internvl() -> Made:
    vision = {**_siglip(), "model_type": "internvl_vision", "image_size": [16, 16], "patch_size": [4, 4]}
    given = {"text_config": {**TEXT, "model_type": "qwen2"}, "vision_config": vision, "image_token_id": IMAGE}
    return "InternVLConfig", "InternVLForConditionalGeneration", {**given, "downsample_ratio": 0.5}


def _onevision() -> Made:
    vision = _siglip(model_type="siglip_vision_model", vision_use_head=False)
    given: dict[str, Any] = {"text_config": {**TEXT, "model_type": "qwen2"}, "vision_config": vision}
    given |= {"image_token_index": IMAGE, "video_token_index": VIDEO, "image_token_id": IMAGE, "video_token_id": VIDEO}
    return "LlavaOnevisionConfig", "LlavaOnevisionForConditionalGeneration", given


_CONFIGS: dict[str, Any] = {
    "qwen2_vl": _qwen2,
    "qwen2_5_vl": _qwen2_5,
    "qwen3_vl": _qwen3,
    "smolvlm": _smolvlm,
    "idefics3": _idefics3,
    "internvl": _internvl,
    "llava_onevision": _onevision,
}


def kind(name: str) -> ModelKind:
    return ModelKind.of(make(name).config)

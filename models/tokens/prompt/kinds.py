"""What language models expect of vision: which placeholders, which positions, how a clip stands in the prompt.

A kind is plain data, taken from a model's configuration once.  Models of one kind differ in sizes only.

    qwen2_vl          t, y, x positions; a clip is one run of placeholders, t counts frames
    qwen2_5_vl        the same, t counts quarters or halves of a second (`tokens_per_second`)
    qwen3_vl          t, y, x positions; a clip is one run per frame behind a text of its time, and t does not move
                      within a run; features of early layers (DeepStack)
    internvl, smolvlm, idefics3     1-D positions; a clip is one run per frame, a picture one run per tile or one in all
    llava_onevision   1-D positions; a clip is one run, and a learned vector ends it
    llava             1-D positions, one run
    plain             a decoder without vision of its own: 1-D positions, one run of a placeholder of your choice
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...base.errors import ParameterError
from ..arguments import integer


@dataclass(frozen=True)
class ModelKind:
    """How one kind of model reads vision tokens.

    Attributes:
        name: `model_type` of the configuration, or "plain".
        placeholders: Ids of the tokens that stand for vision in a prompt.
        video_id: The one among them that stands for a clip.
        mrope: Whether positions are t, y, x; else they count tokens.
        framed: Whether a clip takes one run of placeholders per frame.
        newline: Whether a learned vector ends a clip.
        deepstack: Layers that get features of their own.
        per_second: Steps of the t position per second; None: one step per frame.
        unit: Pixels of the side of one step of the y and x positions; 0 where there are none.
        clip_text: What stands for a clip in a text, and is replaced.
        picture_text: What stands for a picture in a text, and is replaced.
        clip_form: What replaces it for a clip, or for each of its frames where `framed`; {run} is the placeholder,
            {number} counts frames from 1, {seconds}, {minute} and {second} are the frame's time.
        picture_form: What replaces it for a picture.
    """

    name: str
    placeholders: tuple[int, ...]
    video_id: int
    mrope: bool = False
    framed: bool = False
    newline: bool = False
    deepstack: int = 0
    per_second: float | None = None
    unit: int = 0
    clip_text: str = "<video>"
    picture_text: str = "<image>"
    clip_form: str = "{run}"
    picture_form: str = "{run}"

    @property
    def run_text(self) -> str:
        """The text of the placeholder, as most tokenizers of the kind spell it."""
        return self.clip_text.removeprefix("<|vision_start|>").removesuffix("<|vision_end|>")

    def clip(self, run: str, seconds: list[float]) -> str:
        """What stands in a text for a clip whose frames with tokens are at these seconds."""
        if not self.framed:
            return self.clip_form.format(run=run)
        forms = [
            self.clip_form.format(run=run, number=n, seconds=at, minute=int(at // 60), second=int(at % 60))
            for n, at in enumerate(seconds, 1)
        ]
        return "".join(forms).removesuffix("\n")

    @classmethod
    def of(cls, config: Any, token_id: int | None = None) -> ModelKind:
        """Read the kind from a configuration.

        Args:
            config: Of a model of Hugging Face.
            token_id: The placeholder; needed for decoders without vision of their own, else taken from `config`.

        Returns:
            The kind.

        Raises:
            ParameterError: The model is of no known kind, or no placeholder is known.
        """
        if not hasattr(config, "model_type"):
            raise ParameterError(f"config is that of a model of Hugging Face, not {type(config).__name__}")
        if token_id is not None:
            token_id = integer("token_id", token_id)
        name = str(config.model_type)
        vision = getattr(config, "vision_config", None)
        if vision is None:
            if getattr(config, "is_encoder_decoder", False) or _has_mrope(config):
                raise ParameterError(f"{name} is no plain decoder; give the model that has the vision part")
            if token_id is None:
                raise ParameterError(f"{name} has no placeholder of its own; name one by token_id")
            return cls("plain", (token_id,), token_id)
        if name not in _KINDS:
            known = ", ".join(sorted(_KINDS))
            raise ParameterError(f"vision tokens of {name} are not known here; known are {known} and plain decoders")
        given = dict(_KINDS[name])
        if given.get("mrope"):
            given["unit"] = vision.patch_size * vision.spatial_merge_size
        if name == "qwen2_5_vl":
            given["per_second"] = float(vision.tokens_per_second)
        if name.startswith("qwen3_vl"):
            given["deepstack"] = len(vision.deepstack_visual_indexes)
        return cls(name, **_ids(config, token_id), **given)


def _has_mrope(config: Any) -> bool:
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    return "mrope_section" in rope


def _ids(config: Any, token_id: int | None) -> dict[str, Any]:
    """Placeholders, that of clips among them."""
    if token_id is not None:
        return {"placeholders": (token_id,), "video_id": token_id}
    found: dict[str, int] = {}
    for medium in ("image", "video"):
        for name in (f"{medium}_token_id", f"{medium}_token_index"):
            if isinstance(getattr(config, name, None), int):
                found.setdefault(medium, getattr(config, name))
    if not found:
        raise ParameterError(f"the configuration of {config.model_type} names no placeholder; give token_id")
    return {"placeholders": tuple(found.values()), "video_id": found.get("video", next(iter(found.values())))}


_QWEN: dict[str, Any] = {"mrope": True, "clip_text": "<|video_pad|>", "picture_text": "<|image_pad|>"}
_QWEN3 = {**_QWEN, "framed": True, "clip_form": "<{seconds:.1f} seconds><|vision_start|>{run}<|vision_end|>"}
_QWEN3["clip_text"] = "<|vision_start|><|video_pad|><|vision_end|>"
_AROUND = "<fake_token_around_image><global-img>{run}<fake_token_around_image>"
_INTERN = {"picture_text": "<IMG_CONTEXT>", "clip_form": "Frame{number}: <img>{run}</img>\n"}
_KINDS: dict[str, dict[str, Any]] = {
    "qwen2_vl": _QWEN,
    "qwen2_5_vl": _QWEN,
    "qwen3_vl": _QWEN3,
    "qwen3_vl_moe": _QWEN3,
    "internvl": {"framed": True, "picture_form": "<img>{run}</img>", **_INTERN},
    "smolvlm": {
        "framed": True,
        "picture_form": _AROUND,
        "clip_form": "\nFrame from {minute:02d}:{second:02d}:" + _AROUND,
    },
    "idefics3": {"framed": True, "picture_form": _AROUND, "clip_form": _AROUND},
    "llava_onevision": {"newline": True},
    "llava": {},
}

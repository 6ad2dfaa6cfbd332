"""Texts and files to the input of a language model, as processors of Hugging Face do for texts and pixels."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import ParameterError
from ..ranges import FrameRange, bounds, clipped
from .clip import Clip
from .conversations import check_message, files_of, flat, texts_of

if TYPE_CHECKING:
    from ...models.tokens import TokenSet
    from ...models.tokens.prompt.kinds import ModelKind
    from ...models.tokens.prompt.layout import Prompt

CONFIG = "processor_config.json"  # the name under which Hugging Face looks for a processor
_OWN = ("reduce", "budget", "scale", "per_second", "padding_side")  # what a configuration holds besides the kind


class TokenBatch(dict[str, Any]):
    """What a processor returns: tensors by name, which move together."""

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None, **options: Any) -> TokenBatch:
        """Move the tensors; latents stay float32, whatever `dtype`, until a projector has scaled them."""
        return TokenBatch({name: value.to(device, **options) for name, value in self.items()})


class TokenProcessor:
    """Make what a language model takes from texts and .tsr files.

    Args:
        tokenizer: A tokenizer of Hugging Face, or any callable that turns a text into ids.
        model: The model, its configuration, or a `ModelKind`.
        reduce: How latents are reduced; see `Clip.tokens`.
        budget: Tokens of a clip, or share of its cells.
        token_id: The placeholder, where the model has none of its own.
        scale: Steps of the model's y and x positions per cell; None: by the size of cells in pixels.
        per_second: Steps of the model's t position per second; None: as the model counts.
        padding_side: "left" or "right".
    """

    def __init__(
        self,
        tokenizer: Any,
        model: Any,
        *,
        reduce: Any = "bits",
        budget: Any = 256,
        token_id: int | None = None,
        scale: float | None = None,
        per_second: float | None = None,
        padding_side: str = "left",
    ) -> None:
        from ...models.tokens.arguments import one_of, positive
        from ...models.tokens.prompt.kinds import ModelKind

        if not callable(tokenizer):
            raise ParameterError(f"tokenizer is one of Hugging Face or a function, not {type(tokenizer).__name__}")
        given = isinstance(model, ModelKind)
        self.kind: ModelKind = model if given else ModelKind.of(getattr(model, "config", model), token_id)
        self.tokenizer, self.reduce, self.budget = tokenizer, reduce, budget
        self.scale = None if scale is None else positive("scale", scale)
        self.per_second = None if per_second is None else positive("per_second", per_second)
        self.padding_side = one_of("padding_side", padding_side, ("left", "right"))

    def __call__(
        self,
        text: str | Sequence[str],
        videos: Any = None,
        *,
        answers: str | Sequence[str] | None = None,
        frames: FrameRange | None = None,
        return_tensors: str = "pt",
        **changes: Any,
    ) -> TokenBatch:
        """Make a batch.  It holds no part of a model, so workers of a DataLoader can make it.

        Args:
            text: One prompt or several, with `kind.clip_text` or `kind.picture_text` where vision belongs.
            videos: A .tsr file (a path, its bytes, a binary file, an open `Clip`) or a `TokenSet`, or a list of them
                in the order of the texts; lists in lists are taken as one.
            answers: What the model shall say, one for each text.  They follow the prompts, and `labels` holds their
                ids and -100 everywhere else.
            frames: (start, stop) of the frames to read of every clip.  None: all.
            return_tensors: "pt" or "np".
            **changes: `reduce`, `budget` and further options of `Clip.tokens` for this call alone.

        Returns:
            input_ids, attention_mask and places (B, L); position_ids (B, L) or (3, B, L); vision (N, C), the latents of
            all prompts; labels (B, L) where there are answers.

        Raises:
            ParameterError: Prompts and files do not fit together, or an argument is out of range.
        """
        from ...models.tokens.prompt.huggingface import collate

        if return_tensors not in ("pt", "np"):
            raise ParameterError(f"return_tensors is pt or np, not {return_tensors!r}")
        bounds(frames)
        texts = texts_of("text", text)
        replies = None if answers is None else texts_of("answers", answers)
        if not texts:
            raise ParameterError("text is an empty list")
        if replies is not None and len(replies) != len(texts):
            raise ParameterError(f"{len(replies)} answers for {len(texts)} texts")
        sources = list(flat(videos))
        wanted = sum(len(self._marks(one)) for one in texts)
        marks = f"{self.kind.clip_text} or {self.kind.picture_text}"
        if wanted != len(sources):
            raise ParameterError(f"{wanted} places for vision in the texts ({marks}), {len(sources)} files")
        prompts, labels = [], []
        for number, one in enumerate(texts):
            if not self._marks(one):
                raise ParameterError(
                    f"text {number} has no place for vision ({self.kind.clip_text}, {self.kind.picture_text})"
                )
            mine = [sources.pop(0) for _ in self._marks(one)]
            prompt, label = self._prompt(one, mine, replies[number] if replies else None, frames, changes)
            prompts.append(prompt)
            labels.append(label)
        batch = TokenBatch(collate(prompts, labels if replies else None, self.padding_side))
        return batch if return_tensors == "pt" else TokenBatch({name: value.numpy() for name, value in batch.items()})

    def embed(self, batch: dict[str, Any], model: Any, projector: Any = None) -> dict[str, Any]:
        """Turn a batch into what `model(**found)` and `model.generate(**found)` take; gradients reach the projector.

        Args:
            batch: What this processor made, on the device of the model.
            model: The language model.
            projector: Latents (N, C) -> (N, D).  None: they have the width of the model.

        Returns:
            inputs_embeds, attention_mask, position_ids; labels where the batch has them; mm_encoder_outputs where the
            projector makes features for early layers.

        Raises:
            ParameterError: The projector does not make the width of the model, the batch lacks something or holds
                arrays of numpy, or this is no model.
        """
        from ...models.tokens.prompt.huggingface import embed

        return embed(batch, model, projector, self.kind)

    def apply_chat_template(
        self, conversation: Sequence[Any], *, tokenize: bool = False, processor_kwargs: Any = None, **options: Any
    ) -> Any:
        """Write a conversation as text, by the tokenizer's template.

        Args:
            conversation: Messages, or a list of conversations.  A content may be a list of
                {"type": "text", "text": TEXT} and {"type": "video", "video": FILE}; "image" for pictures, "path" or
                "url" in place of the second name.
            tokenize: Also read the files, and make the batch.
            processor_kwargs: Options of the batch.
            **options: Of the tokenizer's method, as `add_generation_prompt`.

        Returns:
            The text or texts; with `tokenize` a `TokenBatch`.

        Raises:
            ParameterError: The tokenizer has no template, or the conversation is none.
        """
        if not isinstance(conversation, (list, tuple)):
            raise ParameterError(f"conversation is a list of messages, not {type(conversation).__name__}")
        many = bool(conversation) and not hasattr(conversation[0], "keys")
        options.pop("return_dict", None)
        given = {"return_tensors": options.pop("return_tensors", "pt"), **(processor_kwargs or {})}
        for message in [one for messages in (conversation if many else [conversation]) for one in messages]:
            check_message(message)
        if not getattr(self.tokenizer, "chat_template", None):
            raise ParameterError("tokenizer has no chat template: give one of Hugging Face that has")
        text = self.tokenizer.apply_chat_template(conversation, tokenize=False, **options)
        if not tokenize:
            return text
        return self(text, [files_of(one) for one in conversation] if many else files_of(conversation), **given)

    def batch_decode(self, ids: Tensor, **options: Any) -> list[str]:
        """Turn generated ids into texts, by the tokenizer.

        Args:
            ids: int64 (B, L).
            **options: Of the tokenizer's method.

        Returns:
            The texts.

        Raises:
            ParameterError: The tokenizer cannot.
        """
        if not hasattr(self.tokenizer, "batch_decode"):
            raise ParameterError("tokenizer has no batch_decode; give one of Hugging Face")
        found: list[str] = self.tokenizer.batch_decode(ids, **options)
        return found

    # -- reading -------------------------------------------------------------------------------------------------------

    def tokens(self, video: Any, frames: FrameRange | None = None, **changes: Any) -> TokenSet:
        """Read the reduced tokens of a file.

        Args:
            video: A .tsr file: a path, its bytes, a binary file or an open `Clip`.
            frames: (start, stop) of the frames to read.  None: all.
            **changes: `reduce` and `budget` for this call alone.

        Returns:
            The tokens.

        Raises:
            ParameterError: An argument is out of range, or the file has none of the frames.
        """
        return self._read(video, frames, changes)[0]

    def _read(self, video: Any, frames: FrameRange | None, changes: dict[str, Any]) -> tuple[TokenSet, float]:
        """The tokens, and steps of the model's positions per cell."""
        from ...models.tokens import TokenSet

        placed = {"start", "stop", "kind"} & set(changes)
        if placed:
            raise ParameterError(f"a processor sets {placed.pop()} itself; `frames` says which frames are read")
        if isinstance(video, TokenSet):
            if changes or frames is not None:
                name = next(iter(changes), "frames")
                raise ParameterError(f"{name} is of files; a TokenSet is taken as it is")
            return video, 1.0 if self.scale is None else self.scale
        if not isinstance(video, Clip):
            with Clip(video) as clip:
                return self._read(clip, frames, changes)
        start, stop = clipped(frames, len(video))
        found: TokenSet = video.tokens(start, stop, **{"reduce": self.reduce, "budget": self.budget, **changes})
        steps = video.family.stride / self.kind.unit if self.kind.unit else 1.0
        return found, steps if self.scale is None else self.scale

    def _marks(self, text: str) -> list[str]:
        names = (self.kind.clip_text, self.kind.picture_text)
        return re.findall("|".join(re.escape(name) for name in names), text)

    def _prompt(
        self, text: str, videos: list[Any], answer: str | None, frames: FrameRange | None, changes: dict[str, Any]
    ) -> tuple[Prompt, Tensor]:
        """One prompt, and its labels."""
        from ...models.tokens.prompt.layout import lay_out

        kind, read = self.kind, [self._read(video, frames, changes) for video in videos]
        sets = [tokens for tokens, _ in read]
        names = (kind.clip_text, kind.picture_text)
        left = iter(sets)
        full = re.sub("|".join(map(re.escape, names)), lambda found: self._written(found.group(), next(left)), text)
        ids = self._ids(full)
        said = self._ids(answer, add_special_tokens=False) if answer is not None else ids[:0]
        prompt = lay_out(torch.cat([ids, said]), sets, kind, [scale for _, scale in read], self.per_second)
        label = torch.full_like(prompt.ids, -100)
        if len(said):
            label[-len(said) :] = said
        return prompt, label

    def _written(self, mark: str, tokens: TokenSet) -> str:
        """What stands in the text for one clip or picture."""
        kind = self.kind
        picture = mark == kind.picture_text
        number = kind.placeholders[0] if picture else kind.video_id
        name = getattr(self.tokenizer, "convert_ids_to_tokens", None)
        run = str(name(number)) if name else kind.picture_text if picture else kind.run_text
        if picture:
            return kind.picture_form.format(run=run)
        return kind.clip(run, tokens.times[tokens.frame_splits > 0].tolist())

    def _ids(self, text: str, **options: Any) -> Tensor:
        from ...models.tokens.arguments import whole_numbers

        given = (
            self.tokenizer(text, **options)
            if hasattr(self.tokenizer, "convert_ids_to_tokens")
            else self.tokenizer(text)
        )
        found = given["input_ids"] if hasattr(given, "keys") else given
        try:
            return whole_numbers("ids", found, 1) if len(found) else torch.zeros(0, dtype=torch.int64)
        except (ParameterError, TypeError) as error:
            raise ParameterError(f"tokenizer makes a list of ids of a text: {error}") from error

    # -- stored --------------------------------------------------------------------------------------------------------

    def save_pretrained(self, folder: str | Path, **options: Any) -> None:
        """Write tokenizer and settings, so that `from_pretrained` and AutoProcessor find them.

        Args:
            folder: Where to; made where it is missing.
            **options: Of the tokenizer's method.

        Raises:
            ParameterError: The tokenizer cannot be saved, or `reduce` and `budget` are not plain values.
        """
        if not hasattr(self.tokenizer, "save_pretrained"):
            raise ParameterError("this tokenizer has no save_pretrained; give one of Hugging Face")
        made = {"processor_class": type(self).__name__, "kind": asdict(self.kind)}
        made |= {name: getattr(self, name) for name in _OWN}
        try:
            text = json.dumps(made, indent=2)
        except TypeError as error:
            raise ParameterError(f"reduce and budget are stored as plain values only: {error}") from error
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder, **options)
        (Path(folder) / CONFIG).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path, **changes: Any) -> TokenProcessor:
        """Read what `save_pretrained` wrote.

        Args:
            folder: A folder on this machine.
            **changes: Settings in place of the stored ones; other names go to the tokenizer.

        Returns:
            The processor.

        Raises:
            ParameterError: The folder holds no processor of this class.
        """
        from ...models.tokens.prompt.kinds import ModelKind

        try:
            found = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
            given = {name: changes.pop(name, found[name]) for name in _OWN}
            plain = {**found["kind"], "placeholders": tuple(found["kind"]["placeholders"])}
            kind = ModelKind(**plain)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ParameterError(f"{folder} holds no {cls.__name__}: {error!r}") from error
        from transformers import AutoTokenizer

        known = {name: changes[name] for name in changes if not name.startswith("_")}
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, **known)
        except (OSError, ValueError, KeyError) as error:
            raise ParameterError(f"{folder} holds no tokenizer: {error}") from error
        return cls(tokenizer, kind, **given)

    @classmethod
    def register(cls) -> None:
        """Let `transformers.AutoProcessor.from_pretrained` return processors of this class."""
        from transformers import AutoProcessor

        from ...models.tokens.prompt.kinds import ModelKind

        AutoProcessor.register(ModelKind, cls, exist_ok=True)

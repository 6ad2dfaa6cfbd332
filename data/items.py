"""One item of training from one .tsr file: tokens, latents or frames."""

from __future__ import annotations

from typing import Any, Literal

import torch

from ..codec.errors import ParameterError
from ..codec.options import FileSource
from ..codec.ranges import FrameRange, bounds, clipped

Item = dict[str, Any]
Gives = Literal["tokens", "latents", "frames"]


class TsrDecoder:
    """Reads items from files, and decodes the field `tsr` of WebDataset's samples.

    dataset = webdataset.WebDataset(shards).decode(TsrDecoder(reduce="tome", budget=64)).to_tuple("tsr", "cls")

    It can be handed to worker processes.

    Args:
        gives: "tokens": x (N, C), pos (N, 3), size (N,), bits of the file; "latents": x (T, h, w, C); "frames": frames,
            uint8 (T, H, W, C).
        reduce: Of tokens; see `Clip.tokens`.
        budget: Of tokens.
        frames: (start, stop) of every clip; shorter ones give what they have.
        **options: Of `Clip.tokens`.

    Raises:
        ParameterError: An argument is out of range.
    """

    def __init__(
        self,
        gives: Gives = "tokens",
        *,
        reduce: Any = "bits",
        budget: Any = 1.0,
        frames: FrameRange | None = None,
        **options: Any,
    ) -> None:
        if gives not in ("tokens", "latents", "frames"):
            raise ParameterError(f"gives {gives!r} is not tokens, latents or frames")
        self.gives, self.reduce, self.budget, self.options = gives, reduce, budget, options
        self.frames = bounds(frames)

    def __call__(self, key: str, data: bytes) -> Item | None:
        """The item of a field of a sample, as handlers of WebDataset are called; None for fields of other kinds."""
        return self.read(data) if key.rpartition(".")[2].lower() == "tsr" else None

    def read(self, source: FileSource) -> Item:
        """Read one file.

        Args:
            source: A path, a URL, the bytes of a file or a binary file.

        Returns:
            What `gives` names.

        Raises:
            FormatError: The file is damaged.
            ParameterError: An option of the reduction is wrong, or the file has none of the frames.
        """
        from ..codec.api import open as open_clip

        with open_clip(source) as clip:
            start, stop = clipped(self.frames, len(clip))
            if self.gives == "latents":
                return {"x": torch.as_tensor(clip.latents(start, stop).x)}
            if self.gives == "frames":
                return {"frames": torch.from_numpy(clip[start:stop])}
            found = clip.tokens(start, stop, reduce=self.reduce, budget=self.budget, **self.options)
            return {"x": found.x, "pos": found.pos, "size": found.size, "bits": 8 * clip.info.bytes}

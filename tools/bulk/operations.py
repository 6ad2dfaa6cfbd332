"""What is done to each item: encode, decode, tokens, verify.  It makes the bytes of a file of another."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol

import tessera
from tessera.codec.options import DecodeOptions, EncodeOptions

PICTURES = "png jpg jpeg webp avif heic heif jp2 bmp tif tiff ppm pgm gif npy"
CLIPS = "mp4 mkv mov webm avi m4v mpg mpeg ts y4m"
MEDIA = frozenset(f".{name}" for name in f"{PICTURES} {CLIPS}".split())
CODED = frozenset({".tsr"})


@dataclass(frozen=True)
class Made:
    """What an operation says of one file.

    Attributes:
        suffix: Of the output, with the dot; empty where there is none.
        problems: What is wrong with the source; empty: nothing.
    """

    suffix: str
    frames: int
    width: int = 0
    height: int = 0
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Operation(Protocol):
    """One thing to do to every item; travels to the workers pickled.

    Attributes:
        name: What the command line calls it.
        sources: The suffixes of what it reads, where files are searched.
    """

    name: ClassVar[str]
    sources: ClassVar[frozenset[str]]

    def settings(self) -> Mapping[str, Any]:
        """Everything that an output depends on besides its source."""

    def make(self, source: Path, sink: BinaryIO) -> Made:
        """Write to `sink` what becomes of the file `source`.  CodecError says why it cannot be done."""


@dataclass(frozen=True)
class Encode:
    """Pictures and clips to .tsr files."""

    options: EncodeOptions = field(default_factory=EncodeOptions)
    name: ClassVar[str] = "encode"
    sources: ClassVar[frozenset[str]] = MEDIA

    def settings(self) -> Mapping[str, Any]:
        from tessera.codec.coding import weights

        own = {file.name: weights.identify(weights.read(file)[0]).hex() for file in weights.files(self.options.family)}
        return {**_fields(self.options), "weights": own}

    def make(self, source: Path, sink: BinaryIO) -> Made:
        from tessera.codec.files import encode_to

        report = encode_to(str(source), sink, self.options)
        return Made(".tsr", report.frames, report.width, report.height, tuple(report.warnings))


@dataclass(frozen=True)
class Decode:
    """.tsr files to pictures and clips.

    Attributes:
        picture: The format of pictures, by its suffix.
        clip: The format of clips.
        crf: Quality of a lossy video; lower is better.
        lossless: Write videos without further loss.
    """

    options: DecodeOptions = field(default_factory=DecodeOptions)
    picture: str = ".png"
    clip: str = ".mp4"
    crf: int | None = None
    lossless: bool = False
    name: ClassVar[str] = "decode"
    sources: ClassVar[frozenset[str]] = CODED

    def settings(self) -> Mapping[str, Any]:
        return {**_fields(self.options), **_fields(self)}

    def make(self, source: Path, sink: BinaryIO) -> Made:
        with tessera.open(source, limits=self.options.limits) as clip:
            suffix = self.picture if clip.info.kind == "picture" else self.clip
        with tempfile.TemporaryDirectory(prefix="tessera-") as folder:  # writers of video need a file to seek in
            target = Path(folder) / f"out{suffix}"
            report = tessera.decode_file(str(source), str(target), self.options, crf=self.crf, lossless=self.lossless)
            with open(target, "rb") as made:
                shutil.copyfileobj(made, sink)
        return Made(suffix, report.frames, report.width, report.height, tuple(report.warnings))


@dataclass(frozen=True)
class Tokens:
    """.tsr files to .safetensors files of tokens; the fields are those of `tessera tokens`."""

    reduce: str = "bits"
    budget: Any = 1.0
    frames: tuple[int | None, int | None] | None = None
    device: str = "cpu"
    seed: int = 0
    whiten: bool = False
    channels: int | None = None
    limits: tessera.Limits = field(default_factory=tessera.Limits)
    name: ClassVar[str] = "tokens"
    sources: ClassVar[frozenset[str]] = CODED

    def settings(self) -> Mapping[str, Any]:
        return _fields(self)

    def make(self, source: Path, sink: BinaryIO) -> Made:
        from tessera.codec.reading.tokens import tokens_to

        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Made(".safetensors", tokens_to(source, sink, **own).frames)


@dataclass(frozen=True)
class Verify:
    """Every checksum of .tsr files, and a full decode: there is no output but the rows of the manifest."""

    device: str = "cpu"
    limits: tessera.Limits = field(default_factory=tessera.Limits)
    name: ClassVar[str] = "verify"
    sources: ClassVar[frozenset[str]] = CODED

    def settings(self) -> Mapping[str, Any]:
        return _fields(self)

    def make(self, source: Path, sink: BinaryIO) -> Made:
        report = tessera.verify(source, device=self.device, limits=self.limits)
        return Made("", report.frames, problems=tuple(report.problems))


def _fields(options: Any) -> dict[str, Any]:
    """The values of a dataclass, without those that change no output."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    return {name: value for name, value in values.items() if name not in ("options", "progress")}

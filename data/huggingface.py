"""A feature of the library `datasets`: columns of .tsr files, decoded when a row is looked at.

Importing this module registers the feature, which `datasets` needs for reading stored datasets that have it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Optional

try:
    import datasets
    import pyarrow as pa
except ImportError as error:
    from ..codec.errors import UnsupportedError

    raise UnsupportedError(f"tessera.data.Tsr: {error}; pip install 'tessera-codec[datasets]'") from error

from ..codec.errors import ParameterError
from ..codec.reading.source import open_path
from .items import TsrDecoder


@dataclass
class Tsr:
    """A column of .tsr files, given as paths, URLs or bytes.

    data = datasets.Dataset.from_dict({"clip": paths}).cast_column("clip", Tsr("tokens", budget=64))
    data[0]["clip"]["x"]

    The fields are plain values, so that they are stored with a dataset.

    Args:
        gives: "clip": an open `Clip`, of which nothing but the header has been read; "tokens", "latents" and "frames"
            are those of `TsrDecoder`.
        reduce: How latents are reduced to tokens; a text, see `Clip.tokens`.
        budget: Of tokens; a number or a text.
        frames: (start, stop) of every clip.
        options: Further options of `Clip.tokens`.
        decode: False: rows hold path and bytes, unread.

    Raises:
        ParameterError: An argument is out of range.
    """

    gives: str = "clip"
    reduce: str = "bits"
    budget: Any = 1.0
    frames: Optional[list[Any]] = None  # noqa: UP045, `datasets` reads the types of fields
    options: dict[str, Any] = field(default_factory=dict)
    decode: bool = True
    id: Optional[str] = field(default=None, repr=False)  # noqa: UP045
    dtype: ClassVar[str] = "dict"
    pa_type: ClassVar[Any] = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    _type: str = field(default="Tsr", init=False, repr=False)

    def __post_init__(self) -> None:
        given: Any = "tokens" if self.gives == "clip" else self.gives
        frames: Any = self.frames
        self._decoder = TsrDecoder(given, reduce=self.reduce, budget=self.budget, frames=frames, **self.options)

    def __call__(self) -> Any:
        return self.pa_type

    def encode_example(self, value: Any) -> dict[str, Any]:
        """What is stored of a file: its path, or its bytes.

        Args:
            value: A path, a URL, bytes, or {"path": ..., "bytes": ...}.

        Returns:
            path and bytes, one of them None.

        Raises:
            ParameterError: It is something else.
        """
        if isinstance(value, (bytes, bytearray)):
            return {"path": None, "bytes": bytes(value)}
        if isinstance(value, (str, os.PathLike)):
            return {"path": os.fspath(value), "bytes": None}
        if isinstance(value, dict) and (value.get("path") is not None or value.get("bytes") is not None):
            return {"path": value.get("path"), "bytes": value.get("bytes")}
        raise ParameterError(f"a .tsr file is a path, bytes, or path and bytes in a dictionary, not {value!r:.60}")

    def decode_example(self, value: dict[str, Any], token_per_repo_id: Any = None) -> Any:
        """What `gives` names, of one row.

        Args:
            value: path and bytes.
            token_per_repo_id: Of `datasets`; not used.

        Returns:
            An open `Clip`, or an item as `TsrDecoder` makes it.

        Raises:
            ParameterError: The row is not to be decoded, or there is no such file.
            FormatError: The file is damaged.
        """
        if not self.decode:
            raise ParameterError("decode is False: these rows are not decoded")
        from ..codec.api import open as open_clip

        source = value["path"] if value["bytes"] is None else value["bytes"]
        return open_clip(source) if self.gives == "clip" else self._decoder.read(source)

    def flatten(self) -> Any:
        """Itself, or the two columns that it consists of where it is not decoded."""
        return self if self.decode else {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}

    def cast_storage(self, storage: Any) -> Any:
        """A column of paths, of bytes, or of both as the column that this feature stores.

        Args:
            storage: An array of Arrow.

        Returns:
            The array of path and bytes.

        Raises:
            ParameterError: It holds something else.
        """
        kind, absent = storage.type, pa.nulls(len(storage))
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            parts = absent, storage
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            parts = storage, absent
        elif pa.types.is_struct(kind):
            has = [kind.field(n).name for n in range(kind.num_fields)]
            parts = tuple(storage.field(name) if name in has else absent for name in ("bytes", "path"))
        else:
            raise ParameterError(f"a column of .tsr files holds texts, bytes or both, not {kind}")
        columns = [part.cast(self.pa_type.field(n).type) for n, part in enumerate(parts)]
        return pa.StructArray.from_arrays(columns, ["bytes", "path"], mask=storage.is_null())

    def embed_storage(
        self, storage: Any, token_per_repo_id: Any = None, local_files: bool = True, remote_files: bool = True
    ) -> Any:
        """The column with the bytes of the files in it, as a dataset that leaves this machine needs it.

        Args:
            storage: A column of this feature.
            token_per_repo_id: Of `datasets`; not used.
            local_files: Whether files of this machine are read.
            remote_files: Whether files behind URLs are read.

        Returns:
            The column; paths are left as names.

        Raises:
            ParameterError: There is no such file.
        """
        rows = []
        for row in storage.to_pylist():
            if row is not None and row["bytes"] is None and row["path"] is not None:
                if remote_files if "://" in row["path"] else local_files:
                    with open_path(row["path"]) as file:
                        row = {"bytes": file.read(), "path": Path(row["path"]).name}
            rows.append(row)
        return pa.array(rows, self.pa_type)


datasets.features.features.register_feature(Tsr, "Tsr")


def tsr_folder(folder: str | os.PathLike[str], **feature: Any) -> Any:
    """The .tsr files below a folder as a Dataset, in the order of their names.

    Args:
        folder: Where they are.  Where every file lies in a folder below it, as in FOLDER/cats/1.tsr, the first folder's
            name is its label.
        **feature: Of `Tsr`.

    Returns:
        A `datasets.Dataset` with column `clip`, and `label` where there are labels.

    Raises:
        ParameterError: There is no such folder, or no .tsr file in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ParameterError(f"{root}: there is no such folder")
    paths = sorted(path for path in root.rglob("*.tsr") if path.is_file())
    if not paths:
        raise ParameterError(f"{root}: no .tsr file below it")
    columns: dict[str, Any] = {"clip": [str(path.absolute()) for path in paths]}
    kinds: dict[str, Any] = {"clip": Tsr(**feature)}
    inner = [path.relative_to(root).parts for path in paths]
    if all(len(parts) > 1 for parts in inner):
        names = sorted({parts[0] for parts in inner})
        columns["label"] = [names.index(parts[0]) for parts in inner]
        kinds["label"] = datasets.ClassLabel(names=names)
    return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))

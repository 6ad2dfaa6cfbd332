"""A .tsr file written chunk by chunk; see `container`."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from ..errors import ParameterError
from ..limits import DEFAULT_LIMITS, METADATA_BYTES, Limits
from .chunks import COPY, DIGEST, DIGEST_BYTES, SIGNATURE, chunk_bytes
from .container import Metadata, Showing, alpha_prefix, visit_showing
from .details import pack_details
from .fields import FieldWriter
from .header import (
    GroupHead,
    Header,
    Index,
    write_group,
    write_header,
    write_index,
)


class ContainerWriter:
    """Writes a file front to back to `sink`; `written` counts its bytes."""

    def __init__(self, sink: BinaryIO, header: Header, limits: Limits = DEFAULT_LIMITS) -> None:
        limits.check_frame(header.width, header.height)
        self.sink = sink
        self.header = header
        self.limits = limits
        self.written = 0
        self.frames = 0
        self.sizes: dict[str, int] = {}
        self._index = Index()
        self._head = write_header(header)
        self._write(SIGNATURE)
        self._chunk("HEAD", self._head)

    def _write(self, data: bytes) -> None:
        self.sink.write(data)
        self.written += len(data)

    def _chunk(self, kind: str, payload: bytes) -> None:
        self.limits.check_chunk(kind, len(payload))
        data = chunk_bytes(kind, payload)
        self._write(data)
        self.sizes[kind] = self.sizes.get(kind, 0) + len(data)

    def metadata(self, metadata: Metadata) -> None:
        """Write what is there; to be called before the first group."""
        if self.frames:
            raise ParameterError("metadata stands before the first group")
        for kind, block in (("iccp", metadata.icc), ("exif", metadata.exif), ("info", pack_details(metadata.details))):
            if block and len(block) > METADATA_BYTES:
                raise ParameterError(f"{kind} has {len(block)} bytes, the format allows {METADATA_BYTES}")
            if block:
                self._chunk(kind, zlib.compress(block, 9))
        if metadata.audio:
            self._chunk("audi", metadata.audio)
        if metadata.showing != Showing():
            fields = FieldWriter("show")
            visit_showing(metadata.showing, fields)
            self._chunk("show", bytes(fields.data))

    def group(
        self, head: GroupHead, symbols: bytes, alpha: bytes | None = None, digest: bytes | None = None
    ) -> None:
        """Write one group.

        alpha: payload of its ALPH after the frame number, exactly when the header says so.
        digest: DIGEST_BYTES of its pixels, see FORMAT.md section 21.
        """
        if head.first != self.frames or (alpha is not None) != self.header.alpha:
            raise ParameterError(f"group at frame {head.first} does not follow frame {self.frames} of this file")
        if self.header.still and self.frames:
            raise ParameterError("a still has one group")
        self.limits.check_frames(head.first + head.frames)
        self.limits.check_group(head.frames, self.header.width, self.header.height, len(symbols))
        if digest is not None and len(digest) != DIGEST_BYTES:
            raise ParameterError(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
        if digest is not None and self.header.still:
            self._chunk(DIGEST, digest)
        place = self.written
        if alpha is not None:
            self._chunk("ALPH", alpha_prefix(self.header, head.first) + alpha)
        self._chunk("GRUP", write_group(head, self.header) + symbols)
        if digest is not None and not self.header.still:
            self._chunk(DIGEST, digest)
        if not self._index.groups:
            self._index.offset = place
        self._index.groups.append((head.frames, self.written - place))
        self.frames += head.frames

    def finish(self) -> None:
        """Write the index and the end.  ParameterError when no frame was written."""
        if not self.frames:
            raise ParameterError("there are no frames to encode")
        if self.header.still:
            return
        place = 0
        if len(self._index.groups) > 1:
            place = self.written
            self._chunk("INDX", write_index(self._index))
            self._chunk(COPY, self._head)
        self._chunk("TEND", place.to_bytes(8, "little"))

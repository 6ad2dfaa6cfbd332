"""Texts, XMP, IPTC, resolution and chapters: through a .tsr file and out again, or one warning."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import tessera
from tessera.codec.details import Chapter, Details
from tessera.codec.errors import FormatError, ParameterError
from tessera.codec.files import decode_file, encode_file, info_file
from tessera.codec.format.details import pack_details, unpack_details
from tessera.codec.media import MediaInfo, Source, from_array, open_source, write_media

from ...support import toy_family
from ...support.media_samples import clip, picture

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><creator>Ann \xc3\xa4</creator></x:xmpmeta>'
IPTC = b"\x1c\x02\x19\x00\x03cat"
WHOLE = Details(
    XMP,
    IPTC,
    (("title", "Holiday"), ("Ümlaut", "Grüße\nfrom here"), ("empty", "")),
    (Fraction(300), Fraction(72000, 1001)),
    (Chapter(Fraction(0), Fraction(1, 5), "One"), Chapter(Fraction(1, 5), Fraction(2, 5), "Zwei ö")),
)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    toy_family.install(monkeypatch)
    yield


def described(details: Details, pixels: Any = None, **more: Any) -> Source:
    source = from_array(clip(10, 16, 24) if pixels is None else pixels)
    info = replace(source.media, details=details, **more)
    return Source("x", info, lambda start, stop: source.frames(start, stop), frame_count=source.frame_count)


def test_entries_pack_and_unpack() -> None:
    assert unpack_details(pack_details(WHOLE)) == WHOLE
    assert pack_details(Details()) == b"" and unpack_details(b"") == Details()
    assert unpack_details(pack_details(WHOLE) + b"\x63\x02ab") == WHOLE, "a later kind is skipped"
    data = pack_details(WHOLE)
    for end in range(len(data)):
        try:
            unpack_details(data[:end])
        except FormatError as error:
            assert str(error).startswith("info")
    for wrong in (b"\x03\x02\xff\xfe", b"\x04\x04\x01\x01\x00\x01", b"\x04\x05\x01\x01\x01\x01\x01"):
        with pytest.raises(FormatError, match="info"):
            unpack_details(wrong)


def test_the_number_of_entries_is_bounded() -> None:
    """Empty entries deflate to almost nothing, and each would become an object."""
    most = bytes([3, 0]) * (1 << 16)
    assert len(unpack_details(most).texts) == 1 << 16
    with pytest.raises(FormatError, match="more than 65536 entries"):
        unpack_details(most + bytes([9, 0]))
    with pytest.raises(ParameterError, match="65537 entries"):
        pack_details(Details(texts=(("", ""),) * 65537))


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "webm"])
def test_titles_and_chapters_of_clips(suffix: str, tmp_path: Path) -> None:
    texts = (("title", "Holiday"), ("creation_time", "2024-05-06T07:08:09.000000Z"), ("comment", "öäü"))
    details = Details(texts=texts, chapters=WHOLE.chapters)
    path, coded, out = (str(tmp_path / name) for name in (f"in.{suffix}", "x.tsr", f"out.{suffix}"))
    with open(path, "wb") as file:
        source = described(details)
        write_media(file, suffix, source.media, source.frames())
    encode_file(path, coded, codec="toy")
    assert info_file(coded).bits["details"] > 0
    report = decode_file(coded, out)
    assert not report.warnings
    with av.open(out) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        assert {(key, tags[key]) for key, _ in texts} == set(texts)
        found = [(c["start"] * Fraction(c["time_base"] or 1), c["metadata"]["title"]) for c in container.chapters()]
        assert found == [(chapter.start, chapter.title) for chapter in WHOLE.chapters]
    encode_file(path, coded, codec="toy", metadata=False, force=True)
    assert "details" not in info_file(coded).bits and b"Holiday" not in Path(coded).read_bytes()


def saved(kind: str, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(picture(16, 24)).save(file, kind, **options)
    file.seek(0)
    return file


def test_pictures_keep_what_their_format_holds(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Holiday")
    texts.add_itxt("Author", "Änn", zip=True)
    texts.add_itxt("XML:com.adobe.xmp", XMP.decode())
    photoshop = b"8BIM\x04\x04\0\0\0\0\0\x08" + IPTC
    segment = b"Photoshop 3.0\0" + photoshop
    extra = b"\xff\xed" + (2 + len(segment)).to_bytes(2, "big") + segment
    inputs = {
        "png": saved("PNG", pnginfo=texts, dpi=(300, 150)),
        "jpg": saved("JPEG", xmp=XMP, extra=extra, comment=b"a note", dpi=(300, 150)),
        "webp": saved("WEBP", xmp=XMP, lossless=True),
        "tiff": saved("TIFF", tiffinfo={700: XMP, 33723: IPTC}, dpi=(300, 150)),
    }
    for suffix, file in inputs.items():
        source = open_source(file)
        assert source.media.details.xmp == XMP
        (tmp_path / "x.tsr").write_bytes(tessera.encode(source, codec="toy"))
        report = decode_file(str(tmp_path / "x.tsr"), str(tmp_path / f"x.{suffix}"))
        assert not report.warnings
        back = open_source(str(tmp_path / f"x.{suffix}")).media.details
        assert back == source.media.details
        if suffix != "webp":
            assert back.resolution is not None and [round(value) for value in back.resolution] == [300, 150]
        if suffix == "png":
            assert dict(back.texts) == {"Title": "Holiday", "Author": "Änn"}
        exif = Image.Exif()
        exif[0x010F] = "Maker"
        both = replace(source.media, exif=exif.tobytes())
        with open(tmp_path / f"both.{suffix}", "wb") as out:
            write_media(out, suffix, both, source.frames())
        with Image.open(tmp_path / f"both.{suffix}") as image:
            assert image.getexif()[0x010F] == "Maker"
        assert open_source(str(tmp_path / f"both.{suffix}")).media.details == source.media.details
        if suffix == "jpg":
            assert back.iptc == IPTC and back.texts == (("Comment", "a note"),)


@pytest.mark.parametrize(
    ("suffix", "lost"),
    [
        ("png", "IPTC, chapters"),
        ("jpg", "chapters, texts (title, Ümlaut, empty)"),
        ("webp", "IPTC, resolution, chapters, texts (title, Ümlaut, empty)"),
        ("y4m", "XMP, IPTC, resolution, chapters, texts (title, Ümlaut, empty)"),
        ("mp4", "XMP, IPTC, resolution, texts (Ümlaut, empty)"),
        ("mkv", "XMP, IPTC, resolution"),
    ],
)
def test_what_a_format_does_not_hold_is_one_warning(suffix: str, lost: str) -> None:
    pixels = picture(16, 24) if suffix in ("png", "jpg", "webp") else None
    source, warnings = described(WHOLE, pixels), list[str]()
    write_media(io.BytesIO(), suffix, source.media, source.frames(), warnings=warnings)
    assert warnings == [f".{suffix} does not hold everything that the file holds; left out: {lost}"]


def test_a_part_has_no_chapters() -> None:
    data = tessera.encode(described(WHOLE), codec="toy", frames=(2, 5))
    with tessera.open(data) as read:
        found = read.reader.metadata().details
    assert found == replace(WHOLE, chapters=())


def test_damaged_exif_goes_into_no_tiff() -> None:
    media = MediaInfo("picture", 24, 16, 3, exif=b"Exif\0\0garbage that is no TIFF")
    source, warnings = from_array(picture(16, 24)), list[str]()
    for suffix in ("tif", "tiff", "png"):
        file = io.BytesIO()
        write_media(file, suffix, media, source.frames(), warnings=warnings)
        assert np.array_equal(np.asarray(Image.open(file)), picture(16, 24))
    assert len(warnings) == 2 and "damaged Exif" in warnings[0]

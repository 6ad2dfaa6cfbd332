"""Media in and out: pictures, videos, folders of frames, arrays and y4m pipes as frames with their description.

    with open_source("clip.mp4") as source:
        write_media("clip.mkv", "mkv", source.media, source.frames(), lossless=True)
"""

from .arrays import from_array
from .audio import cut_audio
from .opening import open_source
from .pictures import from_pil
from .types import MAX_PIXELS, SRGB, Colour, Frame, MediaInfo, Source
from .writing import WRITTEN_SUFFIXES, write_media

__all__ = [
    "MAX_PIXELS",
    "SRGB",
    "WRITTEN_SUFFIXES",
    "Colour",
    "Frame",
    "MediaInfo",
    "Source",
    "cut_audio",
    "from_array",
    "from_pil",
    "open_source",
    "write_media",
]

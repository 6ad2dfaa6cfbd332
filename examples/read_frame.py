"""Read one frame of a clip by its number.  Only the group that holds the frame is read and decoded.

python examples/read_frame.py clip.tsr 12 frame.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from PIL import Image

import tessera


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", help="a .tsr file")
    parser.add_argument("number", type=int, help="number of the frame, from 0")
    parser.add_argument("target", help="picture to write")
    args = parser.parse_args(argv)

    with tessera.open(args.clip) as clip:
        frame = clip[args.number]  # uint8 (H, W, C)
        seconds = clip.times(args.number, args.number + 1)[0]
        pixels = frame[..., 0] if frame.shape[2] == 1 else frame
        Image.fromarray(pixels).save(args.target)
        print(f"frame {args.number} of {len(clip)} shows at {seconds:.2f} s")
        print(f"read {clip.bytes_read:,} of {clip.info.bytes:,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

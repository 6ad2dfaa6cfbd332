"""`tessera info IN.tsr`: what the file holds and where its bits went."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tessera.tools import options

if TYPE_CHECKING:
    from tessera.codec.reading.info import GroupInfo, Info

SHOWN = 20  # groups listed as text


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN.tsr", help="the file to read, or - for stdin")
    parser.add_argument("--digest", action="store_true", help="decode, and print a digest of every frame's pixels")
    options.add_json(parser)
    options.add_limits(parser)


def run(args: argparse.Namespace) -> int:
    from tessera.codec.files import info_file

    info = info_file(args.source, args.limits, digests=args.digest)
    if args.json:
        options.print_json(info)
    else:
        print(describe(args.source, info))
    return 0


def describe(name: str, info: Info) -> str:
    """The whole report as text."""
    plane = ("gray" if info.channels == 1 else "RGB") + (" and alpha" if info.alpha else "")
    frames = options.count(info.frames, "frame")
    timing = "" if info.kind == "picture" else f", {float(info.rate):g} frames/s, {info.duration:.2f} s"
    decoder = f", decoder {info.decoder}" if info.decoder else ""
    sound = {True: "all sound", False: "DAMAGED", None: "not checked"}[info.sound]
    lines = [
        name,
        f"  {info.kind:<10} {info.width}x{info.height} {plane}, {frames}{timing}",
        f"  codec      {info.codec}, quality {info.quality:g}{decoder}, weights {info.weights}",
        *_networks(info),
        f"  size       {info.bytes:,} bytes, {info.bpp:.4f} bpp",
        f"  checksums  {sound}; format version {info.version}{', truncated' if info.truncated else ''}",
        "  bits",
        *(f"    {part:<10} {bits:>12,}  {bits / (8 * info.bytes):6.1%}" for part, bits in info.bits.items()),
    ]
    if len(info.groups) > 1:
        lines += ["  groups", *map(_group, info.groups[:SHOWN])]
    if len(info.groups) > SHOWN:
        lines.append(f"    and {len(info.groups) - SHOWN} more: see --json")
    lines += _digests(info)
    lines += [f"  problem: {problem}" for problem in info.problems]
    return "\n".join(lines)


def _networks(info: Info) -> list[str]:
    """What the networks of the groups are."""
    found = list(dict.fromkeys(group.networks for group in info.groups if group.networks is not None))
    return [f"  networks   {'; '.join(found[:SHOWN])}"] if found else []


def _digests(info: Info) -> list[str]:
    """The digests that the file holds of its groups, and those of their frames, where these were decoded."""
    if not any(group.frame_digests for group in info.groups):
        held = sum(group.digest is not None for group in info.groups)
        return [f"  digests    of {options.count(held, 'group')}: see --digest"] if held else []
    lines = ["  digests"]
    for group in info.groups:
        if group.digest is not None:
            verdict = {True: "agrees", False: "DIFFERS", None: "not checked"}[group.agrees]
            lines.append(f"    group {group.number:<6} {group.digest}  {verdict}")
        lines += [f"    frame {number:<6} {digest}" for number, digest in enumerate(group.frame_digests, group.first)]
    return lines


def _group(group: GroupInfo) -> str:
    last = group.first + group.frames - 1
    quality = "" if group.quality is None else f"  quality {group.quality:g}"
    state = "  DAMAGED" if group.sound is False else ""
    return f"    {group.number:<4} frames {group.first}..{last}  {group.bits:,} bits{quality}{state}"

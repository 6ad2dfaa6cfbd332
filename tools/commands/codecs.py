"""`tessera codecs`: the families of this install."""

from __future__ import annotations

import argparse
from typing import Any

from tessera.tools import options


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="read every weights file and check that it is sound")
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """With --check: 0 if every weights file is sound, else 1."""
    if args.check:
        return _check(args.json)
    families = _families()
    if args.json:
        options.print_json({"codecs": families})
        return 0
    for family in families:
        print(f"{family['name']} (wire id {family['id']})")
        if "missing" in family:
            print(f"  not usable: {family['missing']}")
            continue
        print(f"  weights      {family['weights']}")
        print(f"  decoders     {', '.join(family['decoders'])}")
        print(
            f"  latents      {family['channels']} channels, one cell for {family['stride']}x{family['stride']} pixels"
        )
        print(f"  group        {options.count(family['gop'], 'frame')} by default")
        for name, text in family["options"].items():
            print(f"  -o {name}=...  {text}")
    return 0


def _check(as_json: bool) -> int:
    from tessera.codec.coding import weights

    found = weights.check()
    if as_json:
        options.print_json({"files": found})
    else:
        lines = [(one.file, one.id or "", one.problem or "sound") for one in found]
        print(options.text_table(("file", "id", ""), lines, left=3))
    return int(any(one.problem for one in found) or not found)


def _families() -> list[dict[str, Any]]:
    """One entry a family: what it is, or why it cannot be used."""
    from tessera.codec.coding import weights
    from tessera.codec.errors import CodecError
    from tessera.models.registry import FAMILIES

    found: list[dict[str, Any]] = []
    for name, number in FAMILIES.items():
        try:
            family, weights_id = weights.load(name)
        except CodecError as error:
            found.append({"name": name, "id": number, "missing": str(error)})
            continue
        found.append(
            {
                "name": name,
                "id": number,
                "weights": weights_id.hex(),
                "decoders": list(family.decoders),
                "stride": family.stride,
                "channels": family.channels,
                "gop": family.default_gop,
                "options": dict(family.options),
            }
        )
    return found

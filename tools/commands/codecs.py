"""`tessera codecs`: the families of this install."""

from __future__ import annotations

import argparse
from typing import Any

from tessera.tools import options


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
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

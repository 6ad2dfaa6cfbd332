"""What made a weights file, for its metadata."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def provenance(state: dict[str, Any], folder: Path) -> dict[str, str]:
    """What made the weights: packs, steps, seconds, device, seed, commit and the last validation."""
    lines = (folder / "validation.jsonl").read_text().splitlines() if (folder / "validation.jsonl").exists() else []
    last = json.loads(lines[-1]) if lines else {}
    return {
        "family": state["name"],
        "data": ", ".join(state["data"]),
        "steps": str(state["step"]),
        "seconds": str(round(state["spent"])),
        "device": state["device"],
        "seed": str(state["seed"]),
        "batch": f"{state['batch']} x {state['crop']} x {state['crop']}",
        "commit": commit(),
        "validation": json.dumps(last),
    }


def commit() -> str:
    """The working tree's commit, or "unknown" outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()

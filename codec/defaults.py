"""What is used where nobody chooses."""

from typing import Final

CODEC: Final = "spatiotemporal"  # a family of `models/registry.py`

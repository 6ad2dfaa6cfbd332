"""What is used where nobody chooses."""

from typing import Final

QUALITY: Final = 50
CODEC: Final = "spatiotemporal"  # a family of `models/registry.py`
FITTED: Final = "overfitted"  # what effort best takes for a picture

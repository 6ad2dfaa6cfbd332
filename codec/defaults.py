"""What is used where nobody chooses."""

CODEC = "spatiotemporal"  # a family of `models/registry.py`

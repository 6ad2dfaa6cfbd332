"""Slow, readable twins of the kernels: together with FORMAT.md a second decoder."""

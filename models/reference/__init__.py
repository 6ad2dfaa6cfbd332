"""Slow, readable twins of the kernels."""

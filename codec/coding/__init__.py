"""Frames to chunks and back: groups, symbol ports over the range coder, rate targets, weights, concealment."""

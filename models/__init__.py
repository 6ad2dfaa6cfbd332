"""Frames <-> symbols: the codec families, their priors and their shipped weights."""

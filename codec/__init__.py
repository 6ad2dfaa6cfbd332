"""Files <-> frames: the container, symbol ports, weights, rate targets and the public functions."""

"""Networks of floats for training, how they are optimised, and how they become networks in integers."""

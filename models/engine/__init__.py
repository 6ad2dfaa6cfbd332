"""Networks that run in integers: what they are, and their way into the kernels."""

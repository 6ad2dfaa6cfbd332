"""A second decoder, slow and readable, written from FORMAT.md (`decoder`), and twins of the kernels."""

"""Networks in integers: their description, and how the kernels run them."""

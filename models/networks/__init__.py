"""Networks that run in integers."""

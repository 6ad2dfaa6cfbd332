"""Networks in integers for the engine, networks of floats that training sees, and how these are optimised."""

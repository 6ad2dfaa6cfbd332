"""How well a small model answers questions about clips at each budget of tokens."""

"""How well a small reader answers questions about clips at each budget of tokens."""

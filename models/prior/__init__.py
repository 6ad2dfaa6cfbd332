"""Which table codes which symbol: fixed-point networks, the ladder of tables, rounding along the walk."""

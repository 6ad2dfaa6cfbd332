"""Motion fields: how they are found, ordered, coded and applied."""

"""Motion fields: how they are ordered and coded."""

"""Pictures at the lowest rates, and restoration of lost indices."""

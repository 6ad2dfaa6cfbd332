"""Ways to reduce tokens: scores, selection, merging, pooling, transforms, budgets, and their registry."""

"""`tessera train`: the trainer, its optimiser and its validation."""

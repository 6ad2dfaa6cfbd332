"""What a codec family, a training task and a symbol port are to the rest of the package."""

"""What a classifier learns from latents, indices and pixels."""

"""Family wavelet: every frame by itself, linear encoder, learned prior and synthesis network."""

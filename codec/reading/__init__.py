"""An open file: random access to frames, latents, ids and tokens without decoding the rest."""

"""Family `vqgan`: pictures and clips as codebook indices, coarse to fine, with an exact prior over them."""

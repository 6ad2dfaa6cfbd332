"""Family `spatiotemporal`: wavelet latents of every frame, predicted from the latents of frames already decoded."""

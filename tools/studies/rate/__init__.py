"""Rate and distortion of pictures and clips beside every peer."""

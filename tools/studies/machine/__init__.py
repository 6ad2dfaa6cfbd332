"""Accuracy of classifiers on coded pictures and on latents."""

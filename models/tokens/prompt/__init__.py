"""Tokens inside a language model's prompt: position ids and inputs of Hugging Face models."""

"""Codecs to compare with, ours among them, all behind one interface."""

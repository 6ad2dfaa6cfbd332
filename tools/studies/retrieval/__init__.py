"""Clips found by words."""

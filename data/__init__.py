"""Training input and procedural samples."""

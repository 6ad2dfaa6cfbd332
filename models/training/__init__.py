"""Training only: tasks and losses of every family, recordings, fitted tables."""

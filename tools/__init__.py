"""What a user runs: the command line, evaluation, speed comparisons, training."""

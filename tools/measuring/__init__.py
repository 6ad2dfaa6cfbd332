"""What studies share: jobs, workers, rows, metrics, figures, small classifiers and answering models."""

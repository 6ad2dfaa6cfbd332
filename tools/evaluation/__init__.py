"""`tessera evaluate`: measurements of pictures, clips and classifiers, the metrics, BD-rate."""

"""Numbers of the format that model, training and run time share."""

from __future__ import annotations

FIRST_TABLE = 78  # of the ladder of predicted frames: behind the wavelet model's ladder and the uniform tables
FIRST_MOTION_TABLE = 150
PRIORS = ("unidirectional", "bidirectional")  # by the number of references less one

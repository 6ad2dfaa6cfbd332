"""Numbers of the format that model, training and decoder share."""

from __future__ import annotations

FIRST_TABLE = 78  # rung 0 of predicted frames: behind the wavelet model's ladder and the uniform tables
FIRST_MOTION_TABLE = 150
PRIORS = ("unidirectional", "bidirectional")  # entry n - 1 is for n references

"""Settings of the whole test run."""

import os

# Read once, when torch is imported: threads that spin while they wait slow down everything on shared cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

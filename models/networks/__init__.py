<<<<<<< HEAD
"""Networks of floats and how they are optimised: synthesis, the same folded for one quality, Muon."""
=======
"""Networks that run in integers."""
>>>>>>> engine

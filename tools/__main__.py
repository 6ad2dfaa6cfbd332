"""`python -m tessera.tools` is the command `tessera`."""

import sys

from tessera.tools.cli import run

sys.exit(run())

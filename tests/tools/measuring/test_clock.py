"""CPU seconds of a measurement count what children took."""

from __future__ import annotations

import subprocess
import sys
import time

from tessera.tools.measuring.clock import cpu_seconds


def test_children_count() -> None:
    ours, all_together = time.process_time(), cpu_seconds()
    subprocess.run([sys.executable, "-c", "import os\nwhile sum(os.times()[:2]) < 0.1: pass"], check=True)
    assert cpu_seconds() - all_together > time.process_time() - ours + 0.08

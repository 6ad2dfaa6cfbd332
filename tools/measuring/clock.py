"""CPU time of measurements."""

from __future__ import annotations

import os
import time


def cpu_seconds() -> float:
    """CPU seconds of this process, all threads, and of its children that have ended: some peers are other programs."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system

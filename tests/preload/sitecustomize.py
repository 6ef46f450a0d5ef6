"""Loaded first by every Python process that runs with `tests.faketime`.

libfaketime up to 0.9.10, which Debian 12 and Ubuntu 24.04 have, answers EINVAL to the absolute
deadline on the monotonic clock that `time.sleep` hands to the kernel since Python 3.11.
"""

import select
import time


def _sleep(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    select.select([], [], [], seconds)


time.sleep = _sleep

"""The settings of real processes for which a test makes the minutes pass, by moving the clock.

What waits by its own sleep instead of by the clock waits a hundredth of the time, so that it looks
in each of those minutes.
"""

import os
from datetime import timedelta

import requests.adapters

from maaledu.settings import *
from maaledu.settings import CELERY_BEAT_SCHEDULE

WATCH_EVERY = timedelta(seconds=2)
HEARTBEAT_EVERY = timedelta(seconds=0.3)
WORK_POLL = timedelta(seconds=0.2)
LMS_CHORES_EVERY = timedelta(seconds=0.5)
WORK_SWEEP_EVERY = timedelta(seconds=0.5)
WORK_TICK = timedelta(seconds=1)
CELERY_BEAT_SCHEDULE = {
    name: {
        **entry,
        # Not dropped for the one minute that passes while it is on its way.
        "options": {"expires": 90},
        "schedule": entry["schedule"] if name == "nightly" else min(entry["schedule"], WATCH_EVERY),
    }
    for name, entry in CELERY_BEAT_SCHEDULE.items()
}
# Where a test is the authority of an LMS's certificate.
requests.adapters.DEFAULT_CA_BUNDLE_PATH = (
    os.environ.get("TEST_AUTHORITY") or requests.adapters.DEFAULT_CA_BUNDLE_PATH
)

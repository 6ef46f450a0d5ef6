"""The settings of a real process that is cut at its n-th write: see tests/faults.py.

What a process writes now and then beside its work would be counted among the writes of one step.
"""

from datetime import timedelta

from tests import faults
from tests.settings_of_process import *

WATCH_FROM_WEB = False
LMS_FIGURES_EVERY = timedelta(days=1)

faults.install()

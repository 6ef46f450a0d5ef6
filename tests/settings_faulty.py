"""The settings of a real process that is cut at its n-th write: see tests/faults.py.

What a process writes now and then beside its work would be counted among the writes of one step.
"""

from datetime import timedelta

from tests import faults
from tests.settings_of_process import *
from tests.settings_of_process import DATABASES

WATCH_FROM_WEB = False
LMS_FIGURES_EVERY = timedelta(days=1)
# Two hundred who come at once all get a connection in the end, on a slow machine too.
if pool := DATABASES["default"].get("OPTIONS", {}).get("pool"):
    pool["timeout"] = 60

faults.install()

"""The settings of a real process that is cut at its n-th write: see tests/faults.py."""

from tests import faults
from tests.settings_of_process import *

faults.install()

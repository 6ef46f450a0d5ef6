"""The settings of a real process that needs the tests' own models: it finds its database in the
environment.
"""

from maaledu.settings import *
from maaledu.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.dbapp"]

"""The settings of a real web process beside which, on purpose, neither worker nor scheduler runs:
it does not say that they are silent.
"""

from maaledu.settings import *

WATCH_FROM_WEB = False

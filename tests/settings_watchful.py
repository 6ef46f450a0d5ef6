"""The settings of a real web process that looks each second whether the scheduler is silent."""

from datetime import timedelta

from maaledu.settings import *

WATCH_EVERY = timedelta(seconds=1)

"""The demo's settings with static files compressed, as production has them."""

import os

from maaledu.settings import *  # noqa: F403

STATICFILES_DIRS = [os.environ["VITALS_STATIC"]]

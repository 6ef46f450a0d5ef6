"""The product's settings in a language that the tests have made up: see tests/pseudo.py."""

import os

from maaledu.settings import *  # noqa: F403

LANGUAGE_CODE = "ar"
LOCALE_PATHS = [os.environ["PSEUDO_LOCALE"]]

"""The product's settings, but every public page is fetched from the shared cache, each time."""

from datetime import timedelta

from maaledu.settings import *  # noqa: F403

PUBLIC_PAGE_RECHECK = timedelta(0)

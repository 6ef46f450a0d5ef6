"""The product's settings with one address more."""

from maaledu.settings import *  # noqa: F403

ROOT_URLCONF = "tests.e2e.broken_shop_urls"

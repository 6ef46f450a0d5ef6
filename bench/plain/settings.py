"""The product's settings, middleware included, in front of the plain views."""

from maaledu.settings import *  # noqa: F403

ROOT_URLCONF = "bench.plain.urls"

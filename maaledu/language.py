"""The shop speaks one language, that of LANGUAGE_CODE, and the office English.

What a learner reads goes through gettext; docs/translating.md says how a translation is made.
"""

import functools
from collections.abc import Callable
from datetime import date
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext, override

P = ParamSpec("P")
Made = TypeVar("Made")
OFFICE = "en"  # of the office and the messages to staff


def in_shop_language(make: Callable[P, Made]) -> Callable[P, Made]:
    """Run a function that makes what a learner reads, also where staff have caused it."""

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Made:
        with override(settings.LANGUAGE_CODE):
            return make(*args, **kwargs)

    return made


def long_day(moment: date | None) -> str:
    """Return a day as pages and mails write it: `November 29, 2026`; empty for none."""
    # Translators: a pattern of Django's date filter, such as “j F Y”, and no words.
    return date_format(moment, gettext("F j, Y")) if moment else ""

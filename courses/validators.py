"""What a course must look like before it can be sold.

Sources: requirements R026 and R031, decisions (chargeable minimum).
"""

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from maaledu.money import CURRENCIES, Money, stripe_minimum

MAX_LMS_ID_LENGTH = 140  # the longest document name Frappe stores
STRIPE_MAXIMUM = 99_999_999  # minor units; Stripe takes amounts of up to eight digits

# Open edX (opaque_keys, `ALLOWED_ID_CHARS`) allows these in organization, course and run; `+`
# separates the three.
_EDX_PART = r"[A-Za-z0-9_\-~.:]+"

validate_slug = RegexValidator(
    r"\A[a-z0-9]+(-[a-z0-9]+)*\Z",
    "Use lower-case letters, digits and single hyphens between them, such as"
    " first-aid-for-workplaces.",
    code="invalid_slug",
)
_FRAPPE_NAME = re.compile(r"\A[A-Za-z0-9]+([-_.][A-Za-z0-9]+)*\Z")
_OPENEDX_KEY = re.compile(rf"\Acourse-v1:{_EDX_PART}\+{_EDX_PART}\+{_EDX_PART}\Z")


def validate_video(value: str) -> None:
    url = urlsplit(value)
    if url.scheme != "https" or not url.hostname or url.username:
        raise ValidationError(
            "Enter the video's address, which begins with https://.", code="invalid_video"
        )


def validate_openedx_key(value: str) -> None:
    if not _OPENEDX_KEY.match(value):
        raise ValidationError(
            "Enter an Open edX key such as course-v1:MaalEdu+DS101+2026_T1.", code="invalid_lms_id"
        )


def validate_frappe_id(value: str) -> None:
    # Mostly a slug. Who names a course by hand may use capitals, which the LMS keeps.
    if not _FRAPPE_NAME.match(value):
        raise ValidationError(
            "Enter the course's name as the LMS shows it in its address, such as data-analysis.",
            code="invalid_lms_id",
        )


LMS_ID_VALIDATORS = {"frappe": validate_frappe_id, "openedx": validate_openedx_key}


def validate_lms_course_id(platform: str, value: str) -> None:
    """Raise ValidationError unless `value` could name a course on that platform."""
    if len(value) > MAX_LMS_ID_LENGTH:
        raise ValidationError(f"At most {MAX_LMS_ID_LENGTH} characters.", code="invalid_lms_id")
    if platform in LMS_ID_VALIDATORS:
        LMS_ID_VALIDATORS[platform](value)


def validate_price(price: int, currency: str) -> None:
    """Raise ValidationError unless the price is 0 (free) or an amount that Stripe can charge.

    `price` is in minor units.
    """
    if price < 0:
        raise ValidationError("A price cannot be negative.", code="negative_price")
    if currency in CURRENCIES and 0 < price < stripe_minimum(currency):
        least = Money(stripe_minimum(currency), currency)
        raise ValidationError(
            f"Set 0 for a free course, or at least {least}.", code="below_minimum"
        )
    if currency in CURRENCIES and price > STRIPE_MAXIMUM:
        raise ValidationError(
            f"Set at most {Money(STRIPE_MAXIMUM, currency)}.", code="above_maximum"
        )

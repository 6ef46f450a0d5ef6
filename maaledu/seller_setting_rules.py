"""What the settings of who sells must be, as rules of `setting_rules`."""

import re
from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

LONGEST = 200
PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{4,30}")


def texts() -> Iterator[str]:
    """What is set can be printed on one line of a mail and of an invoice."""
    for name in ("COMPANY_NAME", "COMPANY_ADDRESS", "COMPANY_TAX_ID"):
        value = getattr(settings, name)
        if len(value) > LONGEST or (value and not value.isprintable()):
            yield f"Set {name} to one line of at most {LONGEST} characters."
    if settings.COMPANY_PHONE and not PHONE.fullmatch(settings.COMPANY_PHONE):
        yield (
            "Set COMPANY_PHONE to a number that can be called from abroad, such as"
            f" +49 30 1234567, or leave it empty; “{settings.COMPANY_PHONE}” is none."
        )


def seller() -> Iterator[str]:
    """Buyers learn who sells to them, which the law asks for in most countries."""
    examples = {name: value for name, value in settings.EXAMPLE_SELLER.items() if value}
    for name, what in (
        ("COMPANY_NAME", "the company or person who sells, as on an invoice"),
        ("COMPANY_ADDRESS", "its postal address, the lines parted by semicolons"),
    ):
        value = getattr(settings, name).strip(" ;")
        if not value or value == examples[name]:
            yield f"Set {name} to {what}."
    for name in ("COMPANY_TAX_ID", "COMPANY_PHONE"):
        if getattr(settings, name) == examples[name]:
            yield f"Set {name} to your own, or leave it empty: it is the example's."


def support() -> Iterator[str]:
    email = settings.SUPPORT_EMAIL
    if not is_address(email):
        yield "Set SUPPORT_EMAIL to the address that learners may write to."
    elif email.endswith(".example") or email.lower() == settings.EXAMPLE_SUPPORT_EMAIL:
        yield (
            "Set SUPPORT_EMAIL to an address of yours that learners may write to;"
            f" {email} is the example's."
        )


def is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True

"""The normal form of an e-mail address: trimmed, lower case, domain in IDNA.

Source: decisions, e-mail normal form.
"""

import re

import idna
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.utils.translation import gettext_lazy as _

from maaledu.names import has_marks, strip_marks

INVALID = _("Enter a valid e-mail address.")
OTHER_AT_SIGN = _("Enter the address with an ordinary @: yours has another character in its place.")
INVISIBLE = _("Type the address by hand: yours holds a character that cannot be seen.")
NOT_PLAIN = _("Enter the address in plain letters: before the @ there are no accents or marks.")
ALONE = _(
    "Enter the address alone, without a name, quotes, brackets, “mailto:” or punctuation around it."
)
SPACE = _("Enter the address without spaces.")
# As it is copied: `Ada <ada@example.com>`, `mailto:ada@example.com`, `“ada@example.com”`, or at the
# end of a sentence.
NAMED = re.compile(
    r".*<[^<>@\s]+@[^<>@\s]+>|mailto:.*|<.*>|[\"'“”„‘’‚«»(\[{].*[\"'“”„‘’‚«»)\]}]"
    r"|[^@\s]+@[^@\s]+[.,;:!?…]",
    re.IGNORECASE | re.DOTALL,
)
MAX_EMAIL_LENGTH = 140  # what Frappe accepts for a user's name
# A quoted local part is legal, and nobody's: payment services and mail providers refuse it.
REFUSED_CHARACTERS = frozenset('"<>()[]\\,;: ')
SPACES = frozenset(" \u00a0")
WIDE_AT_SIGNS = frozenset("\uff20\ufe6b")  # of East Asian keyboards
LONGEST_LOCAL_PART = 64  # characters, RFC 5321
# Without Django's exception for "localhost": an address without a dot is nobody's in the world.
validate_address = EmailValidator(INVALID, allowlist=[])


def normalize_email(value: str) -> str:
    """Return the one spelling under which an address is stored and compared.

    Raises ValidationError for anything that is not a single deliverable-looking address, line
    breaks and control characters included. It says so where only the @ is another character, or
    where the address holds what cannot be seen; around it, such as from a copied page, it is left
    out.
    """
    address = strip_marks(value)
    _refuse_with_a_hint(address)
    if not address.isprintable() or len(address) > MAX_EMAIL_LENGTH or address.count("@") != 1:
        raise ValidationError(INVALID, code="invalid")
    local, domain = address.lower().split("@")
    # Django's pattern ignores case, and then takes the dotless "ı" and the long "ſ" for letters.
    if not local.isascii():
        raise ValidationError(NOT_PLAIN, code="not_plain")
    if REFUSED_CHARACTERS & set(local) or len(local) > LONGEST_LOCAL_PART:
        raise ValidationError(INVALID, code="invalid")
    try:
        normal = f"{local}@{idna.encode(domain, uts46=True).decode()}"
    except (idna.IDNAError, UnicodeError) as error:
        raise ValidationError(INVALID, code="invalid") from error
    validate_address(normal)
    if normal.rpartition(".")[2].isdigit():  # a number of a machine, and no name of a domain
        raise ValidationError(INVALID, code="invalid")
    return normal


def _refuse_with_a_hint(address: str) -> None:
    """Raise ValidationError where one can say what to change."""
    if "@" not in address and WIDE_AT_SIGNS & set(address):
        raise ValidationError(OTHER_AT_SIGN, code="other_at_sign")
    if has_marks(address):
        raise ValidationError(INVISIBLE, code="invisible")
    if NAMED.fullmatch(address[:MAX_EMAIL_LENGTH]):
        raise ValidationError(ALONE, code="not_alone")
    if SPACES & set(address) and address.count("@") == 1:
        raise ValidationError(SPACE, code="space")

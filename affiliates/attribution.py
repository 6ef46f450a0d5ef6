"""Whose link a buyer came through: a signed cookie, resolved at checkout.

Source: decisions, "attribution". No fault of a cookie or an affiliate stops a purchase.
"""

import logging
import re
from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.emails import normalize_email
from accounts.models import User
from affiliates import labels
from affiliates.codes import LENGTH, LONGEST_LINK, normalize_code
from affiliates.models import Affiliate
from affiliates.payout_details import account_keys
from maaledu.addresses import client_network
from maaledu.vault import CannotOpen, fingerprint, unseal
from maaledu.vault import seal as encipher

logger = logging.getLogger(__name__)

SALT = "affiliates.referral"
PARTNER_SALT = "affiliates.partner"
MAX_COOKIE_LENGTH = 300
HIDDEN = "~"
AROUND_ADDRESS = "\"'“”„‘’‚«»()[]{}<>.,;:/ \t\r\n"  # what a sentence puts around a link
# Or a network appends; a line break stays, and makes it no address.
BEHIND_ADDRESS = re.compile(r"[^\w.@\x00-\x1f\x7f-][^\x00-\x1f\x7f]*\Z")
NOBODY = "-" * LENGTH  # as long as a code, and nobody's
FIRST_CLICK = "first_click"
CREDITED, SELF, INACTIVE, UNKNOWN = "credited", "self", "inactive", "unknown"
UNNAMED = "unnamed"  # only shown, never stored


@dataclass(frozen=True)
class Click:
    """Where a request's buyer came from: the code, and hashes that are only compared."""

    code: str
    network_key: str = ""
    partner_code: str = ""
    user: User | None = None
    label: str = ""


@dataclass(frozen=True)
class Referral:
    """What a checkout copies onto the enrollment: who is credited, or why nobody is."""

    outcome: str
    affiliate: Affiliate | None = None
    network_key: str = ""
    signals: tuple[str, ...] = ()
    label: str = ""

    @property
    def is_credited(self) -> bool:
        return self.outcome == CREDITED


# --- the cookie -----------------------------------------------------------------------------------
def seal(code: str, label: str = "") -> str:
    """Return the cookie's text: the code, the link's label and the time, signed, and nothing about
    the visitor.
    """
    # After a question mark, as in a link: a release that knows no labels reads the code alone.
    text = f"{code}?{label}" if label else code
    return signing.TimestampSigner(salt=SALT).sign(text)


def hide(text: str) -> str:
    """Return the cookie of an old link, which names an address: the text, encrypted.

    It looks the same for an affiliate's address and for nobody's (""); otherwise anybody could
    find out who is an affiliate.
    """
    return HIDDEN + encipher({"ref": text or seal(NOBODY)}).rstrip("=")


def read(cookie: str) -> str:
    """Return the code in a valid cookie of ours; "" for any other text, whatever it is."""
    return normalize_code(_open(cookie)[0])


def read_label(cookie: str) -> str:
    """Return the label of the link in a valid cookie of ours, "" without one."""
    return labels.clean(_open(cookie)[0].partition("?")[2])


def is_hidden(cookie: str) -> bool:
    """Whether it is a valid cookie that an old link has set, nobody's included."""
    return cookie.startswith(HIDDEN) and bool(_open(cookie)[0])


def _open(cookie: str) -> tuple[str, str]:
    """Return the signed code and its signed text; ("", "") for what is not ours or has expired."""
    # Before any cryptography, so that a huge cookie costs nothing.
    if not cookie or len(cookie) > MAX_COOKIE_LENGTH:
        return "", ""
    signer = signing.TimestampSigner(salt=SALT)
    try:
        text = _decrypted(cookie)
        return signer.unsign(text, max_age=settings.ATTRIBUTION_LIFETIME), text
    except (signing.BadSignature, CannotOpen, ValueError):
        return "", ""


def _decrypted(cookie: str) -> str:
    if not cookie.startswith(HIDDEN):
        return cookie
    encrypted = cookie.removeprefix(HIDDEN)
    padding = "=" * (-len(encrypted) % 4)
    return str(unseal(encrypted + padding).get("ref", ""))


def next_cookie(
    cookie: str, affiliate: Affiliate | None, *, by_address: bool, label: str = ""
) -> str:
    """Return the cookie to set after a click; "" where the present one stays.

    The last click counts, or the first one as long as its affiliate is active; an address that is
    nobody's changes nothing. Once an old link was followed the cookie stays encrypted, so that it
    never shows whether the address was an affiliate's; for that, it carries no label either.
    """
    if affiliate and not _keeps_first(cookie):
        text = seal(affiliate.code, "" if by_address else label)
        return hide(text) if by_address else text
    return hide(_open(cookie)[1]) if by_address or is_hidden(cookie) else ""


def _keeps_first(cookie: str) -> bool:
    if settings.ATTRIBUTION_MODEL != FIRST_CLICK:
        return False
    code = read(cookie)
    return bool(code) and Affiliate.objects.filter(code=code, status=Affiliate.ACTIVE).exists()


def seal_partner(code: str) -> str:
    """Return the cookie that marks an affiliate's own browser, to flag sales made in it."""
    return signing.Signer(salt=PARTNER_SALT).sign(code)


def read_partner(cookie: str) -> str:
    if not 0 < len(cookie) <= MAX_COOKIE_LENGTH:
        return ""
    try:
        return signing.Signer(salt=PARTNER_SALT).unsign(cookie)
    except signing.BadSignature:
        return ""


def network_key(request: HttpRequest) -> str:
    return fingerprint("network", client_network(request))


def click_of(request: HttpRequest, *, code: str = "") -> Click | None:
    """Return the click that brought this request's buyer; None when there was none.

    A `code` that the request itself names takes precedence over the cookie's.
    """
    cookie = request.COOKIES.get(settings.REFERRAL_COOKIE_NAME, "")
    label = "" if code else read_label(cookie)
    code = code or read(cookie)
    if not code:
        return None
    user = request.user if request.user.is_authenticated else None
    partner = read_partner(request.COOKIES.get(settings.PARTNER_COOKIE_NAME, ""))
    return Click(code, network_key(request), partner_code=partner, user=user, label=label)


# --- who it is ------------------------------------------------------------------------------------
def address_in(text: str) -> str:
    """Return the e-mail address that an old link names; "" for what cannot be one."""
    local, sign, rest = text[:LONGEST_LINK].strip().partition("@")
    if not sign:
        return ""
    domain = BEHIND_ADDRESS.sub("", rest).rstrip(AROUND_ADDRESS)
    # A plus sign that was not encoded in the link arrives as a space.
    bare = local.lstrip(AROUND_ADDRESS).replace(" ", "+")
    try:
        return normalize_email(f"{bare}@{domain}")
    except ValidationError:
        return ""


def find(text: str) -> Affiliate | None:
    """Return the affiliate that a link names, by code or, in old links, by e-mail; or None."""
    if email := address_in(text):
        return Affiliate.objects.filter(email=email).first()
    code = normalize_code(text)
    return Affiliate.objects.filter(code=code).first() if code else None


def resolve(click: Click, *, email: str) -> Referral:
    """Return who is credited with a purchase by `email` (in its normal form), with signals.

    Nobody is credited with their own purchase (`is_self`).
    """
    affiliate = Affiliate.objects.filter(code=click.code).first()
    if affiliate is None:
        return Referral(UNKNOWN)
    if is_self(affiliate, email=email, user=click.user):
        return Referral(SELF, affiliate, click.network_key, _signals(affiliate, click))
    if not affiliate.is_active:
        return Referral(INACTIVE, affiliate)
    signals = _signals(affiliate, click)
    return Referral(CREDITED, affiliate, click.network_key, signals, click.label)


def _signals(affiliate: Affiliate, click: Click) -> tuple[str, ...]:
    same_address = bool(affiliate.network_key) and affiliate.network_key == click.network_key
    same_device = click.partner_code == affiliate.code
    return ("same_address",) * same_address + ("same_device",) * same_device


def is_self(affiliate: Affiliate, *, email: str, user: User | None = None) -> bool:
    """Whether the buyer is the affiliate, by account or by address.

    An address counts if it is one of the account's, a plus or dot variant of one, or the one that
    the affiliate is paid at.
    """
    if user is not None and user.pk == affiliate.user_id:
        return True
    wanted = alias_key(email)
    if wanted == affiliate.alias_key or _is_payee(affiliate, email):
        return True
    # Last, because it takes a statement.
    rows = EmailAddress.objects.filter(user_id=affiliate.user_id)
    return any(alias_key(address) == wanted for address in rows.values_list("email", flat=True))


def _is_payee(affiliate: Affiliate, email: str) -> bool:
    """Whether the affiliate is paid at this PayPal address or at one it varies (contracts, I8).

    The account is stored as a hash only. So if it is a variant itself, another variant of the same
    address is not recognized.
    """
    local, _, domain = email.strip().lower().rpartition("@")
    forms = {f"{local}@{domain}", f"{local.partition('+')[0]}@{domain}", alias_key(email)}
    return any(affiliate.payout_key in account_keys(Affiliate.PAYPAL, form) for form in forms)


def alias_key(email: str) -> str:
    """Return the address without what mail servers ignore, only to compare (decisions: e-mail)."""
    local, _, domain = email.strip().lower().rpartition("@")
    plain = local.partition("+")[0].replace(".", "")
    return f"{plain or local}@{'gmail.com' if domain == 'googlemail.com' else domain}"

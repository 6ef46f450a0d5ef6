"""What the settings must be: each rule yields a sentence that says what to set. See `.env.example`.

The LMS's address and key have rules of their own, in lms_sync.checks.
"""

import re
from collections.abc import Callable, Iterator
from email.utils import parseaddr
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http.request import validate_host

from maaledu import stripe_setting_rules

ENVIRONMENTS = ("development", "production")
RATE = re.compile(r"[1-9]\d*/[1-9]\d*[smhd]")
SHORTEST_SECRET_KEY = 50
LEAST_DIFFERENT_CHARACTERS = 10
SHORTEST_CRON_SECRET = 20
LMS_FAILURE_POLICIES = ("queue", "rollback")
COMMISSION_CAPS = ("none", "amount_paid")
ATTRIBUTION_MODELS = ("last_click", "first_click")
HIGHEST_RATE = 10_000  # basis points: the whole price
MOST = 10**9
PORT_WITH_TLS_FROM_THE_START = 465
SANDBOX_MAILBOX = 8702
MAKE_A_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)
LOCAL_DELIVERY = ("console", "locmem", "dummy", "filebased")

Rule = Callable[[], Iterator[str]]


def environment() -> Iterator[str]:
    if settings.ENVIRONMENT not in ENVIRONMENTS:
        yield (
            f"Set MAALEDU_ENV to one of {', '.join(ENVIRONMENTS)}; “{settings.ENVIRONMENT}” is not"
            " known."
        )


def rates() -> Iterator[str]:
    for name, rate in settings.RATE_LIMITS.items():
        if not RATE.fullmatch(rate):
            yield (
                f"Set the rate limit “{name}” as a number and a period, such as 10/15m; “{rate}”"
                " cannot be read."
            )


def numbers() -> Iterator[str]:
    for name, (value, least) in settings.NUMBERS.items():
        if not least <= value < MOST:
            yield f"Set {name} to {least} or more; it is {value}."


def proxies() -> Iterator[str]:
    if settings.TRUSTED_PROXY_COUNT < 0:
        yield "Set TRUSTED_PROXY_COUNT to the number of your own reverse proxies, 0 or more."


def grants() -> Iterator[str]:
    if settings.FREE_GRANT_ON_LMS_FAILURE not in LMS_FAILURE_POLICIES:
        yield f"Set FREE_GRANT_ON_LMS_FAILURE to {' or '.join(LMS_FAILURE_POLICIES)}."
    if settings.GRANT_ANSWER_WORKING_DAYS < 1:
        yield "Set GRANT_ANSWER_WORKING_DAYS to 1 or more."


def affiliates() -> Iterator[str]:
    if settings.COMMISSION_CAP not in COMMISSION_CAPS:
        yield f"Set COMMISSION_CAP to {' or '.join(COMMISSION_CAPS)}."
    if settings.ATTRIBUTION_MODEL not in ATTRIBUTION_MODELS:
        yield f"Set ATTRIBUTION_MODEL to {' or '.join(ATTRIBUTION_MODELS)}."
    if settings.PAYOUT_MINIMUM < 0:
        yield "Set PAYOUT_MINIMUM to an amount in minor units, 0 or more; 5000 is 50.00."
    if not 0 <= settings.AFFILIATE_RATE_BASIS_POINTS <= HIGHEST_RATE:
        yield f"Set AFFILIATE_RATE_BASIS_POINTS to 0 to {HIGHEST_RATE}; 1000 is 10 %."


def details_keys() -> Iterator[str]:
    keys = settings.DETAILS_KEYS
    if not keys or not all(_is_fernet_key(key) for key in keys):
        yield (
            "Set DETAILS_KEYS to a key that seals payout details, several parted by commas; make"
            f" one: {MAKE_A_KEY}"
        )
    elif settings.INSECURE_DETAILS_KEY in keys:
        yield (
            "Set DETAILS_KEYS to keys of your own: the one of development is known to everybody."
            f" Make one: {MAKE_A_KEY}"
        )


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


def course_link() -> Iterator[str]:
    try:
        link = settings.LMS_COURSE_URL.format(base_url="https://lms.example", course_id="a-course")
    except (LookupError, ValueError):
        link = ""
    if urlsplit(link).scheme not in ("http", "https") or "a-course" not in link:
        yield (
            "Set LMS_COURSE_URL to the address of a course with {base_url} and {course_id} in it,"
            " and nothing else in braces."
        )


def cron() -> Iterator[str]:
    if settings.CRON_SECRET and len(settings.CRON_SECRET) < SHORTEST_CRON_SECRET:
        yield (
            f"Set CRON_SECRET to a random text of at least {SHORTEST_CRON_SECRET} characters, or to"
            " nothing: then the address is closed."
        )


def secret_key() -> Iterator[str]:
    key = settings.SECRET_KEY
    weak = (
        len(key) < SHORTEST_SECRET_KEY
        or len(set(key)) < LEAST_DIFFERENT_CHARACTERS
        or key.startswith("django-insecure")
    )
    if weak:
        yield (
            f"Set SECRET_KEY to a random text of at least {SHORTEST_SECRET_KEY} characters;"
            " script/setup prints one."
        )


def hosts() -> Iterator[str]:
    if not settings.ALLOWED_HOSTS:
        yield (
            "Set ALLOWED_HOSTS to the names under which the shop is reached, such as"
            " learn.example.com."
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield "Set ALLOWED_HOSTS to names; “*” lets anybody put a name of theirs into our links."


def site_url() -> Iterator[str]:
    url = urlsplit(settings.SITE_URL)
    if url.scheme != "https" or not url.hostname or url.path or url.query or url.username:
        yield (
            "Set SITE_URL to the shop's address, https and the host only, such as"
            " https://learn.example.com."
        )
    elif settings.ALLOWED_HOSTS and not validate_host(url.hostname, settings.ALLOWED_HOSTS):
        yield f"Put {url.hostname}, the host of SITE_URL, into ALLOWED_HOSTS as well."


def debug() -> Iterator[str]:
    if settings.DEBUG:
        yield "Set DEBUG to false: its error pages show settings and code to everybody."


def lms_driver() -> Iterator[str]:
    if settings.FRAPPE_DRIVER not in ("rest", "confirm_payment"):
        yield "Set FRAPPE_DRIVER to rest or confirm_payment."


def staff() -> Iterator[str]:
    if not settings.STAFF_ALERT_EMAILS or not all(
        _is_address(email) for email in settings.STAFF_ALERT_EMAILS
    ):
        yield (
            "Set STAFF_ALERT_EMAILS to the addresses that are alerted when something needs a"
            " person, parted by commas."
        )


def senders() -> Iterator[str]:
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    if not _is_address(sender) or sender.endswith(".example"):
        yield (
            "Set DEFAULT_FROM_EMAIL to an address of yours that your mail server may send from,"
            " such as MaalEdu <courses@example.com>."
        )
    if not _is_address(settings.SUPPORT_EMAIL):
        yield "Set SUPPORT_EMAIL to the address that learners may write to."


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def delivery() -> Iterator[str]:
    backend = settings.EMAIL_DELIVERY_BACKEND
    if any(f".{name}." in backend for name in LOCAL_DELIVERY):
        yield (
            "Set EMAIL_DELIVERY_BACKEND to one that sends: SMTP, or"
            " anymail.backends.sendgrid.EmailBackend."
        )
    if "sendgrid" in backend and not settings.ANYMAIL["SENDGRID_API_KEY"]:
        yield "Set SENDGRID_API_KEY, or another EMAIL_DELIVERY_BACKEND."
    if backend.endswith("smtp.EmailBackend"):
        yield from mail_server()


def mail_server() -> Iterator[str]:
    if not settings.EMAIL_HOST:
        yield "Set EMAIL_HOST to your mail server."
    elif (
        settings.EMAIL_HOST in ("127.0.0.1", "localhost") and settings.EMAIL_PORT == SANDBOX_MAILBOX
    ):
        yield (
            "Set EMAIL_HOST and EMAIL_PORT to your mail server; they still point at the sandbox's"
            " mailbox."
        )
    if settings.EMAIL_USE_TLS and settings.EMAIL_USE_SSL:
        yield (
            "Set one of EMAIL_USE_TLS (STARTTLS, port 587) and EMAIL_USE_SSL (TLS from the start,"
            " port 465), not both."
        )
    elif settings.EMAIL_PORT == PORT_WITH_TLS_FROM_THE_START and not settings.EMAIL_USE_SSL:
        yield (
            "Set EMAIL_USE_SSL to true: port 465 speaks TLS from the start, and EMAIL_USE_TLS means"
            " STARTTLS."
        )


ALWAYS: dict[str, Rule] = {
    "E001": environment,
    "E002": rates,
    "E003": proxies,
    "E014": grants,
    "E016": affiliates,
    "E018": numbers,
    "E021": course_link,
    "E022": stripe_setting_rules.checkout_host,
    "E023": stripe_setting_rules.texts,
}
IN_PRODUCTION: dict[str, Rule] = {
    "E004": secret_key,
    "E005": hosts,
    "E006": site_url,
    "E007": debug,
    "E008": stripe_setting_rules.key,
    "E009": stripe_setting_rules.webhook,
    "E010": stripe_setting_rules.base,
    "E011": lms_driver,
    "E012": staff,
    "E013": delivery,
    "E015": cron,
    "E017": details_keys,
    "E019": senders,
}

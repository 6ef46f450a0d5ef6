"""What the settings must be: each rule yields a sentence that says what to set. See `.env.example`.

The LMS's address and key have rules of their own, in lms_sync.checks.
"""

import re
from collections.abc import Callable, Iterator
from email.utils import parseaddr
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.utils.module_loading import import_string

from maaledu import (
    database_setting_rules,
    env_file,
    host_setting_rules,
    monitor_setting_rules,
    seller_setting_rules,
    stripe_setting_rules,
)
from maaledu.seller_setting_rules import is_address

RATE = re.compile(r"[1-9]\d*/[1-9]\d*[smhd]")
EDX_MODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
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


def course_links() -> Iterator[str]:
    for name in ("LMS_COURSE_URL", "OPENEDX_COURSE_URL"):
        try:
            link = getattr(settings, name).format(
                base_url="https://lms.example", course_id="a-course"
            )
        except (LookupError, ValueError):
            link = ""
        if urlsplit(link).scheme not in ("http", "https") or "a-course" not in link:
            yield (
                f"Set {name} to the address of a course with {{base_url}} and {{course_id}} in it,"
                " and nothing else in braces."
            )


def certificate_links() -> Iterator[str]:
    given = {"course_id": "a-course", "certificate_id": "a-certificate"}
    try:
        link = settings.LMS_CERTIFICATE_URL.format(base_url="https://lms.example", **given)
    except (LookupError, ValueError):
        link = ""
    if not link.startswith("https://lms.example/") or "a-certificate" not in link:
        yield (
            "Set LMS_CERTIFICATE_URL to the address of a certificate in Frappe LMS: {base_url} at"
            " its beginning, {certificate_id} and, where it is needed, {course_id} in it, and"
            " nothing else in braces."
        )


def openedx_modes() -> Iterator[str]:
    for mode in (settings.OPENEDX_MODE, *settings.OPENEDX_COURSE_MODES.values()):
        if not EDX_MODE.fullmatch(mode):
            yield (
                "Set OPENEDX_MODE to the slug of a course mode such as verified, and"
                f" OPENEDX_COURSE_MODES to KEY=MODE,KEY=MODE; “{mode}” is no mode."
            )


def payment_country() -> Iterator[str]:
    if not settings.FRAPPE_PAYMENT_COUNTRY.strip():
        yield (
            "Set FRAPPE_PAYMENT_COUNTRY to the name of a country as the LMS lists it, such as"
            " United States."
        )


def cron() -> Iterator[str]:
    if settings.CRON_SECRET and len(settings.CRON_SECRET) < SHORTEST_CRON_SECRET:
        yield (
            f"Set CRON_SECRET to a random text of at least {SHORTEST_CRON_SECRET} characters, or to"
            " nothing: then the address is closed."
        )


def secret_key() -> Iterator[str]:
    if _is_weak(settings.SECRET_KEY):
        yield (
            f"Set SECRET_KEY to a random text of at least {SHORTEST_SECRET_KEY} characters;"
            " script/setup prints one."
        )
    if any(map(_is_weak, settings.SECRET_KEY_FALLBACKS)):
        yield "Remove what is not a former SECRET_KEY of this shop from SECRET_KEY_FALLBACKS."


def _is_weak(key: str) -> bool:
    return (
        len(key) < SHORTEST_SECRET_KEY
        or len(set(key)) < LEAST_DIFFERENT_CHARACTERS
        or key.startswith("django-insecure")
    )


def debug() -> Iterator[str]:
    if settings.DEBUG:
        yield "Set DEBUG to false: its error pages show settings and code to everybody."


def lms_driver() -> Iterator[str]:
    if settings.FRAPPE_DRIVER not in ("rest", "confirm_payment"):
        yield "Set FRAPPE_DRIVER to rest or confirm_payment."


def staff() -> Iterator[str]:
    if not settings.STAFF_ALERT_EMAILS or not all(
        is_address(email) for email in settings.STAFF_ALERT_EMAILS
    ):
        yield (
            "Set STAFF_ALERT_EMAILS to the addresses that are alerted when something needs a"
            " person, parted by commas."
        )
    if not all(is_address(email) for email in settings.REPORT_EMAILS):
        yield "Set REPORT_EMAILS to the addresses that get the reports, or leave it empty."


def senders() -> Iterator[str]:
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    if not is_address(sender) or sender.endswith(".example"):
        yield (
            "Set DEFAULT_FROM_EMAIL to an address of yours that your mail server may send from,"
            " such as MaalEdu <courses@example.com>."
        )
    yield from seller_setting_rules.support()


def delivery() -> Iterator[str]:
    backend = settings.EMAIL_DELIVERY_BACKEND
    if any(f".{name}." in backend for name in LOCAL_DELIVERY):
        yield (
            "Set EMAIL_DELIVERY_BACKEND to one that sends: SMTP, or"
            " anymail.backends.sendgrid.EmailBackend."
        )
    try:
        import_string(backend)
    except ImportError:
        yield f"Set EMAIL_DELIVERY_BACKEND to one that there is; “{backend}” is none."
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
    if settings.EMAIL_HOST_USER and not settings.EMAIL_HOST_PASSWORD:
        yield (
            "Set EMAIL_HOST_PASSWORD, or leave EMAIL_HOST_USER empty: without a password nobody"
            " signs in. With Docker a value with “$” in it needs single quotes."
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
    "E002": rates,
    "E003": host_setting_rules.proxies,
    "E014": grants,
    "E016": affiliates,
    "E018": numbers,
    "E021": course_links,
    "E022": stripe_setting_rules.checkout_host,
    "E023": stripe_setting_rules.texts,
    "E024": openedx_modes,
    "E025": env_file.problems,
    "E026": monitor_setting_rules.monitors,
    "E027": monitor_setting_rules.redis_url,
    "E029": certificate_links,
    "E031": database_setting_rules.pool,
    "E032": payment_country,
    "E034": seller_setting_rules.texts,
}
IN_PRODUCTION: dict[str, Rule] = {
    "E004": secret_key,
    "E005": host_setting_rules.hosts,
    "E006": host_setting_rules.site_url,
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
    "E028": host_setting_rules.origins,
    "E030": monitor_setting_rules.alert_channels,
    "E033": seller_setting_rules.seller,
}

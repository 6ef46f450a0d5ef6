"""What the settings about Stripe must be; see `setting_rules`."""

import re
from collections.abc import Iterator

from django.conf import settings

HOST = re.compile(r"(?=.{4,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
VISIBLE = re.compile("[!-~]*")  # ASCII without the blank and control characters


def texts() -> Iterator[str]:
    """A blank or line break that was copied along makes every request fail, or every signature."""
    texts = {
        "STRIPE_SECRET_KEY": [settings.STRIPE_SECRET_KEY],
        "STRIPE_WEBHOOK_SECRET": settings.STRIPE_WEBHOOK_SECRETS,
    }
    for name, values in texts.items():
        if not all(VISIBLE.fullmatch(value) for value in values):
            yield (
                f"Write {name} without blanks, line breaks and characters that cannot be seen:"
                " Stripe would refuse it as it is."
            )


def key() -> Iterator[str]:
    key = settings.STRIPE_SECRET_KEY
    if not re.fullmatch(r"(sk|rk)_(test|live)_\w+", key, re.ASCII):
        yield "Set STRIPE_SECRET_KEY to the secret key of your Stripe account (sk_live_…)."
    elif ("_live_" in key) != settings.STRIPE_LIVEMODE:
        kind, mode = ("a live", "false") if "_live_" in key else ("a test", "true")
        yield (
            f"STRIPE_SECRET_KEY is {kind} key but STRIPE_LIVEMODE is {mode}: set both to the same"
            " mode."
        )


def webhook() -> Iterator[str]:
    secrets = settings.STRIPE_WEBHOOK_SECRETS
    if not secrets or not all(re.fullmatch(r"whsec_\S{10,}", secret) for secret in secrets):
        yield (
            "Set STRIPE_WEBHOOK_SECRET to the signing secret of your webhook endpoint (whsec_…),"
            " several parted by commas."
        )


def base() -> Iterator[str]:
    if settings.STRIPE_API_BASE:
        yield (
            "Leave STRIPE_API_BASE empty: it is for the sandbox, and would take payments to"
            " somebody else's server."
        )


def checkout_host() -> Iterator[str]:
    host = settings.STRIPE_CHECKOUT_HOST
    if host and not HOST.fullmatch(host):
        yield (
            "Set STRIPE_CHECKOUT_HOST to the host of your payment page alone, such as"
            f" pay.example.com: without https://, port or path; “{host}” is none."
        )

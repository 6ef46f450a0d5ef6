"""Django's system checks of this product, and the refusal to start where production is not safe."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, Tags, run_checks
from django.core.checks.messages import ERROR
from django.db import connections
from django.db.utils import DatabaseError

from maaledu.setting_rules import ALWAYS, IN_PRODUCTION

BOOT_FAILED = 3  # gunicorn takes this exit code of a worker as "do not try again"


def check_environment(**_: Any) -> list[CheckMessage]:
    """Check the settings that any environment needs, and what production needs besides."""
    rules = {**ALWAYS, **(IN_PRODUCTION if settings.PRODUCTION else {})}
    errors = [
        Error(sentence, id=f"maaledu.{number}")
        for number, rule in rules.items()
        for sentence in rule()
    ]
    return [*errors, *(_advice() if settings.PRODUCTION else [])]


def check_database(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Check that MongoDB has transactions, which it has only as a replica set."""
    if not settings.MONGODB:
        return []
    try:
        able = connections["default"].features._supports_transactions  # type: ignore[attr-defined]
    except DatabaseError as error:
        return [
            checks.Warning(
                f"MongoDB does not answer ({type(error).__name__}): check DATABASE_URL.",
                id="maaledu.W010",
            )
        ]
    sentence = (
        "Point DATABASE_URL at a MongoDB replica set: a single server has no transactions, and"
        " money needs them."
    )
    return [] if able else [Error(sentence, id="maaledu.E020")]


def refuse_unsafe_start() -> None:
    """End this process, with every reason, where production is not set up safely.

    For gunicorn and Celery, which run no checks.
    """
    if not settings.PRODUCTION:
        return
    found = [*run_checks(), *run_checks(tags=[Tags.database], databases=["default"])]
    reasons = sorted(
        {f"{message.id}: {message.msg}" for message in found if message.level >= ERROR}
    )
    if reasons:
        sys.stderr.write("\n- ".join(["MaalEdu does not start:", *reasons]) + "\n")
        raise SystemExit(BOOT_FAILED)


def _advice() -> Iterator[CheckMessage]:
    if not settings.REDIS_URL:
        sentence = (
            "Set REDIS_URL when more than one web process runs: without it each counts limits and"
            " keeps pages alone."
        )
        yield checks.Warning(sentence, id="maaledu.W001")
    if not settings.TRUSTED_PROXY_COUNT:
        sentence = (
            "Set TRUSTED_PROXY_COUNT to 1 behind a reverse proxy. With 0 nobody is believed that a"
            " request came over https, so that every page and webhook is redirected to https for"
            " ever; and all visitors share one address and its limits."
        )
        yield checks.Warning(sentence, id="maaledu.W002")
    if not settings.OFFICE_SECOND_FACTOR:
        sentence = (
            "Leave OFFICE_SECOND_FACTOR on: without it a password alone opens refunds and payouts."
        )
        yield checks.Warning(sentence, id="maaledu.W003")
    if not (settings.SLACK_WEBHOOK_URL or settings.ALERT_WEBHOOK_URL):
        yield Info(
            "Set SLACK_WEBHOOK_URL or ALERT_WEBHOOK_URL: alerts about the mail server cannot be"
            " sent by e-mail.",
            id="maaledu.I002",
        )
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        yield Info(
            "SQLite serves one machine; for several set DATABASE_URL to PostgreSQL or MongoDB.",
            id="maaledu.I001",
        )

"""Every figure of the decisions is a named setting, and has the value that was decided (requirement
R207).
"""

import re
from datetime import timedelta
from typing import Any

import pytest

from courses.models import Course
from lms_sync.backoff import backoff
from maaledu import money
from maaledu import settings as product
from tests.architecture import ROOT

pytestmark = pytest.mark.no_database

FIGURES: dict[str, Any] = {
    "SESSION_COOKIE_AGE": 7 * 24 * 3600,  # R018
    "SUPPORT_EMAIL": "support@devhb.com",  # R011
    "LMS_CONNECT_TIMEOUT": timedelta(seconds=3),  # R104
    "LMS_TIMEOUT_INTERACTIVE": timedelta(seconds=10),
    "LMS_TIMEOUT_WORKER": timedelta(seconds=15),
    "LMS_SECOND_ATTEMPT_AFTER": timedelta(seconds=2),  # R120
    "LMS_BACKGROUND_ATTEMPTS": 5,  # R121
    "LMS_BACKOFF_BASE": timedelta(minutes=2),  # R122
    "LMS_BACKOFF_LONGEST": timedelta(minutes=60),
    "LMS_LOST_CREATE_WAIT": timedelta(seconds=130),
    "LMS_LOOK_AGAIN_AFTER": timedelta(minutes=10),
    "LMS_ACCOUNTS_PER_CALL": 100,
    "LMS_COMPARE_PAGE": 100,
    "LMS_COMPARE_SHARE": 0.25,
    "LMS_COMPARE_PATIENCE": timedelta(minutes=10),
    "LMS_BREAKER_FAILURES": 3,
    "LMS_BREAKER_OPEN_SECONDS": 60,
    "WORK_BATCH": 10,  # R123
    "WORK_SWEEP_EVERY": timedelta(minutes=1),
    "WORK_LEASE_MARGIN": timedelta(seconds=60),
    "WORK_STUCK_AFTER": timedelta(hours=24),  # R129
    "WATCH_EVERY": timedelta(minutes=1),  # R183
    "TROUBLES_KEPT": timedelta(days=90),
    "MONITOR_TOKEN": "",
    "MONITOR_NETWORKS": [],
    "METRICS_FIGURES_FOR": timedelta(seconds=30),
    "WORK_KEEP_FINISHED": timedelta(days=90),  # R130
    "STRIPE_SESSION_LIFETIME": timedelta(minutes=36),
    "STRIPE_SIGNATURE_TOLERANCE": timedelta(minutes=5),
    "DATA_UPLOAD_MAX_MEMORY_SIZE": 256 * 1024,
    "PAGE_SIZE": 20,  # R167
    "PAGE_SIZE_MOST": 50,
    "PUBLIC_PAGE_LIFETIME": timedelta(minutes=5),
    "LEARNER_DASHBOARD_LIFETIME": timedelta(minutes=2),
    "LMS_PROGRESS_PER_ROUND": 5,  # 60 a minute
    "TRUSTED_PROXY_COUNT": 0,  # R172
    "EMAIL_TIMEOUT": 10,
    "GRANT_ANSWER_WORKING_DAYS": 10,
    "GRANT_REMINDER_DAYS": (7, 1),
    "GRANT_DEFAULT_LIFETIME": timedelta(days=60),
    "FREE_GRANT_ON_LMS_FAILURE": "queue",
    "CRON_SECRET": "",
    "AFFILIATE_RATE_BASIS_POINTS": 1000,
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_the_value_that_was_decided(name: str) -> None:
    assert getattr(product, name) == FIGURES[name]


RATES = {
    "checkout": "10/15m",  # R168
    "coupon": "5/15m",  # R169
    "coupon_email": "20/1d",
    "grant_application": "5/1h",  # R170
    "login": "10/15m",
    "login_account": "10/15m",
    "api": "10/60s",
}


@pytest.mark.parametrize(("name", "rate"), RATES.items())
def test_a_limit_has_the_rate_that_was_decided(name: str, rate: str) -> None:
    """Requirements R168-R170."""
    assert product.RATE_LIMITS[name] == rate


def test_the_pauses_follow_their_settings(settings) -> None:
    """Requirements R120-R122: nothing about them is written down a second time."""
    settings.LMS_SECOND_ATTEMPT_AFTER = timedelta(seconds=1)
    settings.LMS_BACKOFF_BASE, settings.LMS_BACKGROUND_ATTEMPTS = timedelta(minutes=10), 2
    assert backoff(1) == timedelta(seconds=1)
    assert [round((backoff(n) or timedelta()) / timedelta(minutes=10)) for n in (2, 3)] == [1, 2]
    assert backoff(4) is None


def test_prices_are_in_dollars_unless_said_otherwise() -> None:
    """Requirement R012."""
    assert Course._meta.get_field("currency").default == "usd"
    amounts = [money.Money(49900, "usd"), money.Money(24950, "usd")]
    assert [str(amount) for amount in amounts] == ["$499.00", "$249.50"]


def test_durations_are_not_written_down_in_the_processes() -> None:
    """Requirement R207: outside the settings a duration longer than a second has a name."""
    nameless = re.compile(
        r"^(?! *[A-Z][A-Z_]+\b.* = | +retry_after ="
        r" ).*timedelta\((?:seconds|minutes|hours|days)=(?!1\))[\d.]+\)",
        re.MULTILINE,
    )
    apps = (
        "enrollments",
        "payments",
        "affiliates",
        "grants",
        "notifications",
        "lms_sync",
        "courses",
        "accounts",
    )
    modules = [path for app in apps for path in (ROOT / app).rglob("*.py")]
    found = {
        str(path.relative_to(ROOT)): nameless.findall(path.read_text())
        for path in modules
        if "migrations" not in path.parts
    }
    assert {name: lines for name, lines in found.items() if lines} == {}

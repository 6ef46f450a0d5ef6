"""Where a demo is, and with which settings its processes are started."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from script.children import ROOT

# What our endpoint is sent, as the deployment guide lists it.
WEBHOOK_EVENTS = (
    "checkout.session.*,refund.*,charge.refund*,charge.dispute.*,radar.early_fraud_warning.*"
)
# One person who looks at everything asks more often than a shop would let a stranger.
EXPLORERS_LIMITS = (
    "RATE_LIMIT_COUPON",
    "RATE_LIMIT_COUPON_EMAIL",
    "RATE_LIMIT_GRANT_APPLICATION",
    "RATE_LIMIT_AFFILIATE_SIGNUP",
    "RATE_LIMIT_CHECKOUT",
    "RATE_LIMIT_REFERRAL_ADDRESS",
    "RATE_LIMIT_API",
    "RATE_LIMIT_LOGIN",
    "RATE_LIMIT_SIGNUP",
    "RATE_LIMIT_PASSWORD_RESET",
    "RATE_LIMIT_CODE_REQUEST",
    "RATE_LIMIT_CODE",
    "RATE_LIMIT_LINKS_AGAIN",
    "RATE_LIMIT_LINKS_AGAIN_EMAIL",
    "RATE_LIMIT_SECOND_FACTOR",
)
SET_IN_FILE = re.compile(
    r"^\s*(?:export\s+)?([A-Z_]+)[ \t]*=[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE
)


@dataclass(frozen=True)
class Location:
    """The folder and the ports of one demo."""

    directory: Path
    web_port: int
    sandbox_port: int
    smtp_port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"


def environment(location: Location) -> dict[str, str]:
    """Return what the three processes are started with.

    For Stripe, the LMS and the mail `.env` wins, and the sandbox is used for those it leaves out.
    The database and broker of `.env` are not touched: only a DATABASE_URL or REDIS_URL in the
    environment of this call replaces the demo's own.
    """
    own = {
        "DATABASE_URL": f"sqlite:///{location.directory / 'shop.sqlite3'}",
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
        "SITE_URL": location.url,
        "DEMO_TOUR_URL": f"{location.sandbox_url}/tour/",
        **dict.fromkeys(EXPLORERS_LIMITS, "1000/1m"),
        "LMS_BREAKER_OPEN_SECONDS": "10",  # an explorer waits for the shop to notice
        "SANDBOX_WEBHOOK_URL": f"{location.url}/api/webhook",
        "SANDBOX_WEBHOOK_EVENTS": WEBHOOK_EVENTS,
        "SANDBOX_COURSES_ANY": "true",
        "SANDBOX_EXIT_WITH_PARENT": "true",
        "SANDBOX_STATE": str(location.directory / "sandbox.json"),
    }
    always = {
        "MAALEDU_ENV": "development",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "maaledu.settings",
    }
    return {**own, **_sandbox_settings(location), **os.environ, **always}


def _sandbox_settings(location: Location) -> dict[str, str]:
    given = env_file().keys() | {name for name, value in os.environ.items() if value}
    settings = {}
    if "STRIPE_API_BASE" not in given:
        settings["STRIPE_API_BASE"] = (
            "" if "STRIPE_SECRET_KEY" in given else f"{location.sandbox_url}/stripe"
        )
    if "FRAPPE_LMS_BASE_URL" not in given:
        settings["FRAPPE_LMS_BASE_URL"] = f"{location.sandbox_url}/lms"
    if "OPENEDX_BASE_URL" not in given:
        settings["OPENEDX_BASE_URL"] = f"{location.sandbox_url}/edx"
    if not given & {"EMAIL_HOST", "EMAIL_DELIVERY_BACKEND"}:
        settings |= {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(location.smtp_port)}
    return settings


def env_file() -> dict[str, str]:
    """Return what `.env` sets to something; what is empty there is as if it were left out."""
    file = ROOT / ".env"
    return dict(SET_IN_FILE.findall(file.read_text(encoding="utf-8"))) if file.exists() else {}

"""The sandbox's parameters: each is a flag and an environment variable.

``--lms-key`` is ``SANDBOX_LMS_KEY``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

SERVERS = ("A", "B", "C", "D", "custom")
REFUND_STATUSES = ("succeeded", "pending", "requires_action")
CHOICES = {"lms_server": SERVERS, "refund_status": REFUND_STATUSES}


@dataclass(slots=True)
class Options:
    host: str = "127.0.0.1"
    port: int = 8701
    smtp_port: int = 8702
    public_url: str = ""
    state: str = ""
    webhook_url: str = ""
    webhook_secret: str = "whsec_sandbox"  # noqa: S105 -- the published secret of a sandbox
    webhook_events: str = (
        "checkout.session.*,refund.*,charge.refunded,charge.dispute.*,radar.early_fraud_warning.*"
    )
    webhook_retry_base: float = 1.0
    webhook_timeout: float = 10.0
    webhook_wait: float = 5.0
    async_delay: float = 3.0
    refund_status: str = "succeeded"
    stripe_key: str = "sk_test_sandbox"
    lms_key: str = "sandbox-key:sandbox-secret"
    lms_user: str = "bot@example.com"
    lms_role: str = "System Manager,Moderator"
    lms_server: str = "A"
    lms_hang_seconds: float = 2.0
    lms_latency_ms: float = 0.0
    lms_user_limit: int = 60
    mails_kept: int = 2000
    courses_file: str = ""
    courses_any: bool = False
    exit_with_parent: bool = False
    verbose: bool = False


HELP = {
    "host": "address to listen on",
    "port": "HTTP port, 0 for any free one",
    "smtp_port": "SMTP port, 0 for any free one",
    "public_url": "address browsers reach the sandbox at, when it is not http://HOST:PORT",
    "state": "file that keeps the book over restarts",
    "webhook_url": "where signed Stripe events are posted",
    "webhook_secret": "signing secret of that endpoint",
    "webhook_events": "event types the endpoint listens to, * as wildcard, comma separated",
    "webhook_retry_base": "seconds before the first retry; doubled each time",
    "webhook_timeout": "seconds a delivery waits for an answer",
    "webhook_wait": "seconds the payment page waits for the endpoint before it redirects",
    "async_delay": "seconds until a delayed payment succeeds or fails",
    "refund_status": (
        "how refunds begin: succeeded, or pending or requires_action until a control call ends them"
    ),
    "stripe_key": "the secret key that is accepted",
    "lms_key": "the LMS key that is accepted, as key:secret",
    "lms_user": "the LMS user who owns that key",
    "lms_role": "that user's roles, comma separated",
    "lms_server": "which Frappe LMS to be: A (2.61), B (2.40), C (as A, newest), D (2.50), custom",
    "lms_hang_seconds": "how long a blank first name hangs the worker (120 on a real server)",
    "lms_latency_ms": "milliseconds each LMS call takes",
    "lms_user_limit": "users that may be created in an hour",
    "mails_kept": "how many mails are kept, the newest",
    "courses_file": "JSON list of LMS courses to start with",
    "courses_any": "treat every course slug as an existing published course",
    "exit_with_parent": "end when the process that started the sandbox has ended",
    "verbose": "log every request to standard error",
}


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Return the options of a command line; flags win over the environment.

    Exits with 2 where one is wrong.
    """
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    for item in fields(Options):
        _add(parser, item.name, item.default, environ)
    return Options(**vars(parser.parse_args(argv)))


def _add(
    parser: argparse.ArgumentParser, name: str, default: object, environ: Mapping[str, str]
) -> None:
    flag = "--" + name.replace("_", "-")
    given = environ.get("SANDBOX_" + name.upper(), "")
    if isinstance(default, bool):
        value = given.lower() in {"1", "true", "yes", "on"}
        parser.add_argument(flag, action="store_true", default=value, help=HELP[name])
        return
    parser.add_argument(
        flag,
        type=type(default),
        default=given or default,
        choices=CHOICES.get(name),
        help=HELP[name],
    )

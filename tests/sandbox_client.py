"""The tests' hand on the sandbox: starts it as its own process and speaks its control API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import requests

ROOT = Path(__file__).resolve().parent.parent
STRIPE_KEY = "sk_test_sandbox"
WEBHOOK_SECRET = "whsec_sandbox"
LMS_KEY = "sandbox-key:sandbox-secret"
START_SECONDS = 20


class Sandbox:
    """One sandbox process. Options are flags: ``Sandbox(lms_server="B", async_delay=0.2)``;
    ``environment`` is added to the process's own.
    """

    def __init__(self, *, environment: Mapping[str, str] | None = None, **options: object) -> None:
        self.options = options
        self.environment = environment or {}
        self.process: subprocess.Popen[str] | None = None
        self.http_port = int(str(options.pop("port", 0)))
        self.smtp_port = int(str(options.pop("smtp_port", 0)))
        self.http = requests.Session()

    def start(self) -> Self:
        """Start the process and return when it is ready. Restarting keeps the ports."""
        command = [
            sys.executable,
            "-m",
            "sandbox",
            "--port",
            str(self.http_port),
            "--smtp-port",
            str(self.smtp_port),
            "--exit-with-parent",
        ]
        for name, value in self.options.items():
            flag = "--" + name.replace("_", "-")
            command += [flag] * bool(value) if isinstance(value, bool) else [flag, str(value)]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SANDBOX_") and name != "MAALEDU_ENV"
        }
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environment, **self.environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read_ports()
        return self

    def _read_ports(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("SANDBOX READY"):
            self.stop()
            raise RuntimeError(f"the sandbox did not start: {line!r}")
        ports = dict(part.split("=") for part in line.split()[2:])
        self.http_port, self.smtp_port = int(ports["http"]), int(ports["smtp"])

    def stop(self, *, kill: bool = False) -> None:
        """End the process; with ``kill`` without a chance to save."""
        self.http.close()
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(START_SECONDS)
        if self.process.stdout:
            self.process.stdout.close()
        self.process = None

    def __enter__(self) -> Self:
        if self.process is None:
            self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def stripe_url(self) -> str:
        """What STRIPE_API_BASE (``base_addresses["api"]``) is set to."""
        return f"{self.url}/stripe"

    @property
    def lms_url(self) -> str:
        """What FRAPPE_LMS_BASE_URL is set to."""
        return f"{self.url}/lms"

    @property
    def edx_url(self) -> str:
        """What OPENEDX_BASE_URL is set to."""
        return f"{self.url}/edx"

    def call(self, method: str, path: str, data: object = None) -> Any:
        """Make a control call and return its JSON; a refusal raises with its sentence."""
        response = self.http.request(method, f"{self.url}{path}", json=data, timeout=60)
        if not response.ok:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()

    def reset(self, *, keep: str = "") -> None:
        """Forget everything and switch every fault off; ``keep="courses"`` keeps the LMS's
        courses.
        """
        self.call("POST", "/control/reset", {"keep": keep})

    def state(self, *only: str) -> dict[str, Any]:
        """Return the books, or only those that are named: sessions, refunds, mails ..."""
        query = f"?only={','.join(only)}" if only else ""
        return dict(self.call("GET", f"/control/state{query}"))

    def book(self, name: str) -> Any:
        """Return one of the books; all of them are much to write and to read."""
        return self.state(name)[name]

    def calls(self, target: str, prefix: str = "") -> list[dict[str, Any]]:
        """Return the calls of "stripe" or "lms" so far, or those that start with ``prefix`` ("POST
        /api/resource/User").
        """
        return [
            call
            for call in self.call("GET", f"/control/calls?target={target}")
            if call["call"].startswith(prefix)
        ]

    def fault(self, target: str, mode: str, match: str = "", **more: object) -> dict[str, Any]:
        """Switch a fault on: ``fault("lms", "lost_answer", "POST /api/resource/LMS Enrollment",
        times=1)``.
        """
        return dict(
            self.call(
                "POST", "/control/faults", {"target": target, "mode": mode, "match": match, **more}
            )
        )

    def heal(self, target: str = "") -> None:
        self.call("DELETE", "/control/faults", {"target": target})

    def pay(self, session_id: str, outcome: str = "paid", **more: object) -> dict[str, Any]:
        """Pay a session; ``wait=5`` waits for the webhook's answer; amount_total, currency,
        livemode, email, name, business_name, tax_ids, delay may be given.
        """
        return dict(
            self.call(
                "POST", f"/control/stripe/sessions/{session_id}/pay", {"outcome": outcome, **more}
            )
        )

    def expire(self, session_id: str) -> dict[str, Any]:
        return dict(self.call("POST", f"/control/stripe/sessions/{session_id}/expire", {}))

    def refund_in_dashboard(
        self, payment_intent: str, amount: int | None = None, **more: object
    ) -> dict[str, Any]:
        """Refund as a person does in Stripe's dashboard; takes a charge's id too; reason and
        ``wait=5`` may be given.
        """
        given = {} if amount is None else {"amount": amount}
        return dict(
            self.call("POST", f"/control/stripe/charges/{payment_intent}/refund", {**given, **more})
        )

    def settle_refund(self, refund_id: str, **more: object) -> dict[str, Any]:
        """Let a pending refund succeed; ``wait=5`` waits for the webhooks' answers, ``after=86400``
        has it happen so many seconds later.
        """
        return dict(self.call("POST", f"/control/stripe/refunds/{refund_id}/succeed", more))

    def fail_refund(self, refund_id: str, **more: object) -> dict[str, Any]:
        """Let a refund fail, one that succeeded too; reason (Stripe's failure_reason), ``wait=5``
        and ``after`` (seconds) may be given.
        """
        return dict(self.call("POST", f"/control/stripe/refunds/{refund_id}/fail", more))

    def cancel_refund(self, refund_id: str, **more: object) -> dict[str, Any]:
        """Cancel a refund that has not succeeded; ``wait=5`` waits for the webhooks' answers."""
        return dict(self.call("POST", f"/control/stripe/refunds/{refund_id}/cancel", more))

    def dispute(self, payment_intent: str, **more: object) -> dict[str, Any]:
        """Let the buyer's bank dispute a payment; reason, amount, status ("warning_needs_response",
        "prevented"), funds ("withdrawn", "untouched") and ``wait=5`` may be given.
        """
        return dict(self.call("POST", f"/control/stripe/charges/{payment_intent}/dispute", more))

    def close_dispute(self, dispute_id: str, status: str, **more: object) -> dict[str, Any]:
        """Bring a dispute to a status: won, lost, warning_closed, appeal_needs_response, or any
        text; funds ("withdrawn", "reinstated", "untouched"), ``wait=5`` and ``after`` (seconds) may
        be given.
        """
        return dict(
            self.call("POST", f"/control/stripe/disputes/{dispute_id}", {"status": status, **more})
        )

    def warn_of_fraud(self, payment_intent: str, **more: object) -> dict[str, Any]:
        """Let the card's issuer send an early fraud warning; fraud_type and ``wait=5`` may be
        given.
        """
        return dict(self.call("POST", f"/control/stripe/charges/{payment_intent}/warning", more))

    def send_event(self, kind: str, data: dict[str, Any], **more: object) -> dict[str, Any]:
        """Send an event of any type; id, livemode, api_version, created and send=False may be
        given.
        """
        return dict(
            self.call("POST", "/control/stripe/events", {"type": kind, "object": data, **more})
        )

    def deliver(self, event_id: str, times: int = 1) -> list[dict[str, Any]]:
        """Deliver an event again, ``times`` at once, and return what came back."""
        return list(
            self.call("POST", f"/control/stripe/events/{event_id}/deliver", {"times": times})[
                "deliveries"
            ]
        )

    def deliver_in_order(self, event_ids: list[str]) -> list[dict[str, Any]]:
        """Deliver events one after the other, as often as they are named, and return what came
        back.
        """
        return list(
            self.call("POST", "/control/stripe/deliveries", {"events": event_ids})["deliveries"]
        )

    def webhooks(self, **settings: object) -> dict[str, Any]:
        """Change the main endpoint: url, secret, events, api_version, status ("disabled"), payload
        ("thin"); and all deliveries: duplicates, delay, drop, hold, order, seed, retry_base. The
        account's own version is default_version; an empty api_version stands for that.
        """
        return dict(self.call("POST", "/control/webhooks", settings))

    def ping(self) -> dict[str, Any]:
        """Send v2.core.event_destination.ping and return the delivery with what came back."""
        return dict(self.call("POST", "/control/stripe/ping", {}))

    def send_thin_event(self, kind: str, **more: object) -> dict[str, Any]:
        """Send a thin event of any type and return the delivery with what came back."""
        return dict(self.call("POST", "/control/stripe/thin", {"type": kind, **more}))

    def stripe(self, **settings: object) -> dict[str, Any]:
        """Change Stripe: async_delay, webhook_wait, key, refund_status (how refunds begin:
        succeeded, pending, requires_action).
        """
        return dict(self.call("POST", "/control/stripe", settings))

    def key(self, key: str, permissions: list[str] | None = None, **more: object) -> None:
        """Add or change an API key of Stripe's: ``key("rk_test_shop", ["refund_write"])`` is a
        restricted one; expired=True ends it.
        """
        given = {} if permissions is None else {"permissions": permissions}
        self.call("POST", "/control/stripe/keys", {"key": key, **given, **more})

    def account(self, **settings: object) -> dict[str, Any]:
        """Change the Stripe account: business_name, country, charges_enabled, default_currency,
        settlement (a list of currencies), tax_active, tax_percent, pay_url (a custom domain).
        """
        return dict(self.call("POST", "/control/stripe/account", settings))

    def set_clock_ahead(self, seconds: float) -> None:
        """Let the sandbox's clock differ from ours: ahead, or behind when negative."""
        self.call("POST", "/control/clock", {"ahead": seconds})

    def refuse(self, reason: str = "", **more: object) -> dict[str, Any]:
        """Let Stripe refuse: a known reason ("balance_insufficient", "no_payment_method" ...), or
        match ("POST /v1/refunds"), code, param, message, status, type as given; times may be given.
        """
        given = {"reason": reason} if reason else {}
        return dict(self.call("POST", "/control/stripe/refusals", {**given, **more}))

    def stop_refusing(self) -> None:
        self.call("DELETE", "/control/stripe/refusals")

    def lms(self, **settings: object) -> dict[str, Any]:
        """Change the LMS: server, key, role, keys, courses, users, enrollments, user_limit,
        progress, hang_seconds, latency; its staff's rename_user, rename_course, move, remove.
        """
        return dict(self.call("POST", "/control/lms", settings))

    def edx(self, **changes: object) -> dict[str, Any]:
        """Change Open edX and return its books: courses, accounts, enrollments, allowed; activate
        and change_email are a learner's steps, change_username is its staff's; staff, bulk,
        progress_tab, api_limit, token_seconds and more are its settings; progress has email,
        course_id, done, passed, certificate.
        """
        return dict(self.call("POST", "/control/openedx", changes))

    def advance(self, seconds: float, **more: object) -> bool:
        """Move the sandbox's clock ahead; sessions and delayed payments that become due are handled
        before this returns. With ``wait=5`` deliveries as well: whether they were made in time is
        returned.
        """
        return bool(self.call("POST", "/control/clock", {"advance": seconds, **more})["sent"])

    def mails(self, to: str = "") -> list[dict[str, Any]]:
        """Return the mails received, newest first, or those to one address."""
        return list(self.call("GET", f"/mail/api/messages?to={quote(to)}")["messages"])

    def clear_mails(self) -> None:
        self.call("DELETE", "/mail/api/messages")

    def enrollments(self, email: str = "", course: str = "") -> list[dict[str, Any]]:
        """Return the LMS's enrollment rows, of one learner or course when given."""
        rows = self.book("enrollments")
        return [
            row
            for row in rows
            if (not email or row["member"] == email) and (not course or row["course"] == course)
        ]

    def sessions(self) -> list[dict[str, Any]]:
        return list(self.book("sessions"))


def wait_until(check: Callable[[], Any], seconds: float = 10.0, every: float = 0.05) -> Any:
    """Call ``check`` until it returns something true, and return that; fails after ``seconds``."""
    until = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not so within {seconds} s: {check}")
        time.sleep(every)

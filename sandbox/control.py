"""The control API: look into the book and switch what goes wrong.

JSON in, JSON out, under /control/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox import ticker
from sandbox.control_lms import LMS_FLAGS, LMS_NUMBERS, LmsControl
from sandbox.control_openedx import OpenEdxControl
from sandbox.control_page import show, switch
from sandbox.control_stripe_account import StripeAccountControl
from sandbox.control_stripe_payments import StripePaymentsControl
from sandbox.control_stripe_webhooks import StripeWebhooksControl
from sandbox.mailbox import receive
from sandbox.stripe_errors import StripeRefusal
from sandbox.stripe_payments import NotOpen
from sandbox.wire import Request, Response, json_response, read_json
from sandbox.world import World

Data = dict[str, Any]


class Control:
    """Everything under /control/."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/control/state", self.state),
            ("GET", r"/control/calls", self.calls),
            ("GET", r"/control/faults", self.faults),
            ("POST", r"/control/faults", self.add_fault),
            ("DELETE", r"/control/faults", self.clear_faults),
            ("POST", r"/control/reset", self.reset),
            ("POST", r"/control/clock", self.clock),
            ("POST", r"/control/mail", self.mail),
            *LmsControl(world).routes,
            *OpenEdxControl(world).routes,
            *StripeAccountControl(world).routes,
            *StripePaymentsControl(world).routes,
            *StripeWebhooksControl(world).routes,
        ]

    def handle(self, request: Request) -> Response:
        """Answer a control call; a wrong one is a 400 with a sentence, an unknown object a 404."""
        if request.path.rstrip("/") == "/control" and request.method == "GET":
            return show(self.world)
        if request.path == "/control/switch" and request.method == "POST":
            return switch(self.world, request.form())
        try:
            return json_response(self._route(request))
        except KeyError as problem:
            return json_response({"error": f"unknown: {problem}"}, 404)
        except (ValueError, TypeError, StripeRefusal, NotOpen) as problem:
            return json_response({"error": str(problem)}, 400)

    def _route(self, request: Request) -> object:
        for method, pattern, work in self.routes:
            match = re.fullmatch(pattern, request.path.rstrip("/"))
            if match and method == request.method:
                data = {**request.args(), **read_json(request)}
                return work(*match.groups(), data)
        raise KeyError(request.label)

    def state(self, data: Data) -> Data:
        """Return the books, or ``only`` those that are named, separated by commas."""
        with self.book.lock:
            books = self._books()
            only = str(data["only"]).split(",") if "only" in data else books
            return {name: books[name] for name in only}

    def _books(self) -> Data:
        return {
            "sessions": list(self.book.sessions.values()),
            "payment_intents": list(self.book.intents.values()),
            "charges": list(self.book.charges.values()),
            "refunds": list(self.book.refunds.values()),
            "disputes": list(self.book.disputes.values()),
            "warnings": list(self.book.warnings.values()),
            "invoices": list(self.book.invoices.values()),
            "events": list(self.book.events.values()),
            "deliveries": list(self.book.deliveries),
            "held": list(self.world.webhooks.held),
            "users": list(self.book.docs["User"].values()),
            "courses": list(self.book.docs["LMS Course"].values()),
            "enrollments": list(self.book.docs["LMS Enrollment"].values()),
            "lms_payments": list(self.book.docs["LMS Payment"].values()),
            "addresses": list(self.book.docs["Address"].values()),
            "mails": list(self.book.mails),
            "calls": dict(self.book.call_counts),
            "faults": self.world.faults.all(),
            "now": self.book.now(),
            "lms": {
                "server": self.world.lms.server,
                **{name: getattr(self.world.lms, name) for name in (*LMS_NUMBERS, *LMS_FLAGS)},
            },
        }

    def calls(self, data: Data) -> list[Data]:
        """Return the latest calls, oldest first, of one target or of all."""
        with self.book.lock:
            return [
                call for call in self.book.calls if data.get("target") in (None, call["target"])
            ]

    def faults(self, data: Data) -> list[Data]:
        return self.world.faults.all()

    def add_fault(self, data: Data) -> Data:
        return self.world.faults.add(data).describe()

    def clear_faults(self, data: Data) -> Data:
        self.world.faults.clear(str(data.get("target", "")))
        return {"faults": self.world.faults.all()}

    def reset(self, data: Data) -> Data:
        """Forget everything and return every switch to its start.

        ``{"keep": "courses"}`` keeps the LMS's courses.
        """
        courses = self.book.docs["LMS Course"] if data.get("keep") == "courses" else {}
        self.world.defaults()
        self.book.reset()
        self.book.docs["LMS Course"].update(courses)
        return {"reset": True}

    def clock(self, data: Data) -> Data:
        """Move the clock by ``advance`` seconds, or put it ``ahead`` of the real one.

        Then what is due happens; with ``wait`` the deliveries that are due as well, for which there
        are so many seconds. A negative ``ahead`` puts the clock behind.
        """
        with self.book.lock:
            offset = float(data.get("ahead", self.book.offset))
            self.book.offset = offset + float(data.get("advance", 0))
            self.book.dirty = True
        ticker.tick(self.world)
        is_sent = self.world.webhooks.wait_until_sent(float(data.get("wait", 0)))
        return {"now": self.book.now(), "sent": is_sent}

    def mail(self, data: Data) -> Data:
        """Put a mail into the mailbox, raw."""
        return {
            "number": receive(self.world, data["raw"], data.get("from", ""), data.get("to", []))
        }

"""The control API: look into the book and switch what goes wrong. JSON in, JSON out, under
/control/.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox import (
    frappe_enrollments,
    frappe_users,
    stripe_disputes,
    stripe_fraud,
    stripe_later,
    stripe_objects,
    stripe_payments,
    stripe_refunds,
    ticker,
)
from sandbox.control_page import show, switch
from sandbox.control_stripe_account import StripeAccountControl
from sandbox.control_stripe_webhooks import StripeWebhooksControl
from sandbox.frappe_documents import add_course
from sandbox.mailbox import receive
from sandbox.options import REFUND_STATUSES, SERVERS
from sandbox.stripe_endpoints import DISABLED, ENABLED, PAYLOADS
from sandbox.stripe_errors import StripeRefusal
from sandbox.wire import Request, Response, json_response, pick, read_json
from sandbox.world import LmsKey, World, roles_of

Data = dict[str, Any]
LMS_NUMBERS = ("user_limit", "hang_seconds", "latency", "user_latency", "race_window")
LMS_FLAGS = ("user_deadlocks", "courses_any", "tracebacks", "block_endpoints")
WEBHOOK_SETTINGS = (
    "url",
    "secret",
    "duplicates",
    "delay",
    "drop",
    "retry_base",
    "timeout",
    "api_version",
    "default_version",
    "status",
    "payload",
)
WEBHOOK_CHOICES = {"status": (ENABLED, DISABLED), "payload": PAYLOADS}


class Control:
    """Everything under /control/."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("GET", r"/control/state", self.state),
            ("GET", r"/control/calls", self.calls),
            ("GET", r"/control/faults", lambda data: self.world.faults.all()),
            ("POST", r"/control/faults", lambda data: self.world.faults.add(data).describe()),
            ("DELETE", r"/control/faults", self.clear_faults),
            ("POST", r"/control/reset", self.reset),
            ("POST", r"/control/clock", self.clock),
            ("POST", r"/control/webhooks", self.webhooks),
            ("POST", r"/control/lms", self.lms),
            ("POST", r"/control/stripe", self.stripe),
            ("POST", r"/control/stripe/sessions/([^/]+)/pay", self.pay),
            ("POST", r"/control/stripe/sessions/([^/]+)/expire", self.expire),
            ("POST", r"/control/stripe/events", self.event),
            ("POST", r"/control/stripe/events/([^/]+)/deliver", self.deliver),
            ("POST", r"/control/stripe/deliveries", self.deliver_in_order),
            ("POST", r"/control/stripe/charges/([^/]+)/(refund|dispute|warning)", self.reverse),
            ("POST", r"/control/stripe/disputes/([^/]+)", self.decide),
            ("POST", r"/control/stripe/refunds/([^/]+)/(succeed|fail|cancel)", self.end_refund),
            ("POST", r"/control/mail", self.mail),
            *StripeAccountControl(world).routes,
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
        except (ValueError, TypeError, StripeRefusal, stripe_payments.NotOpen) as problem:
            return json_response({"error": str(problem)}, 400)

    def _route(self, request: Request) -> object:
        for method, pattern, work in self.routes:
            match = re.fullmatch(pattern, request.path.rstrip("/"))
            if match and method == request.method:
                data = {**request.args(), **read_json(request)}
                return work(*match.groups(), data)
        raise KeyError(request.label)

    def state(self, data: Data) -> Data:
        """Return the books."""
        with self.book.lock:
            return {
                "sessions": list(self.book.sessions.values()),
                "payment_intents": list(self.book.intents.values()),
                "charges": list(self.book.charges.values()),
                "refunds": list(self.book.refunds.values()),
                "disputes": list(self.book.disputes.values()),
                "warnings": list(self.book.warnings.values()),
                "events": list(self.book.events.values()),
                "deliveries": list(self.book.deliveries),
                "held": list(self.world.webhooks.held),
                "users": list(self.book.docs["User"].values()),
                "courses": list(self.book.docs["LMS Course"].values()),
                "enrollments": list(self.book.docs["LMS Enrollment"].values()),
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

    def clear_faults(self, data: Data) -> Data:
        self.world.faults.clear(str(data.get("target", "")))
        return {"faults": self.world.faults.all()}

    def reset(self, data: Data) -> Data:
        """Forget everything and put every switch back; ``{"keep": "courses"}`` keeps the LMS's
        courses.
        """
        courses = self.book.docs["LMS Course"] if data.get("keep") == "courses" else {}
        self.world.defaults()
        self.book.reset()
        self.book.docs["LMS Course"].update(courses)
        return {"reset": True}

    def clock(self, data: Data) -> Data:
        """Move the sandbox's clock ahead and do what becomes due."""
        with self.book.lock:
            self.book.offset += float(data["advance"])
            self.book.dirty = True
        ticker.tick(self.world)
        return {"now": self.book.now()}

    def webhooks(self, data: Data) -> Data:
        """Change the endpoint; ``hold`` keeps deliveries back, and turning it off releases them in
        ``order``.
        """
        hooks = self.world.webhooks
        for name, allowed in WEBHOOK_CHOICES.items():
            if data.get(name, allowed[0]) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}")
        for name, value in pick(data, *WEBHOOK_SETTINGS).items():
            setattr(hooks, name, type(getattr(hooks, name))(value))
        if "events" in data:
            hooks.types = (
                data["events"]
                if isinstance(data["events"], list)
                else str(data["events"]).split(",")
            )
        released: list[str] = []
        if data.get("hold") is False or ("order" in data and "hold" not in data):
            released = hooks.release(data.get("order", "given"), int(data.get("seed", 1)))
        elif "hold" in data:
            hooks.hold = bool(data["hold"])
        return {
            "url": hooks.url,
            "hold": hooks.hold,
            "held": list(hooks.held),
            "released": released,
            "duplicates": hooks.duplicates,
            "drop": hooks.drop,
        }

    def lms(self, data: Data) -> Data:
        """Change the LMS: server, keys, limits, courses, users, a learner's progress."""
        settings = self.world.lms
        if data.get("server", settings.server) not in SERVERS:
            raise ValueError(f"server must be one of {', '.join(SERVERS)}")
        settings.server = data.get("server", settings.server)
        for name, value in pick(data, *LMS_NUMBERS, *LMS_FLAGS).items():
            setattr(settings, name, type(getattr(settings, name))(value))
        settings.site_host = data.get("host", settings.site_host)
        self._keys(data)
        with self.book.lock:
            courses = [add_course(self.world, course)["name"] for course in data.get("courses", [])]
            users = [frappe_users.add(self.world, user)["name"] for user in data.get("users", [])]
            enrolled = [
                frappe_enrollments.add(self.world, row, "Administrator")["name"]
                for row in data.get("enrollments", [])
            ]
        rows = 0
        if "progress" in data:
            step = data["progress"]
            rows = frappe_enrollments.set_progress(
                self.world, step["email"], step["course"], step["percent"]
            )
        return {
            "server": settings.server,
            "courses": courses,
            "users": users,
            "enrollments": enrolled,
            "progress_rows": rows,
        }

    def _keys(self, data: Data) -> None:
        keys = self.world.lms.keys
        first, owner = next(iter(keys.items()))
        if "key" in data or "role" in data or "user" in data:
            roles = roles_of(data["role"]) if "role" in data else owner.roles
            del keys[first]
            self.world.lms.keys = {
                data.get("key", first): LmsKey(data.get("user", owner.user), roles),
                **keys,
            }
        for entry in data.get("keys", []):
            self.world.lms.keys[entry["key"]] = LmsKey(entry["user"], roles_of(entry["role"]))

    def stripe(self, data: Data) -> Data:
        """Change how the Stripe stand-in behaves: ``async_delay``, ``webhook_wait``, ``key``, and
        how refunds begin (``refund_status``).
        """
        options = self.world.options
        if data.get("refund_status", options.refund_status) not in REFUND_STATUSES:
            raise ValueError(f"refund_status must be one of {', '.join(REFUND_STATUSES)}")
        options.refund_status = data.get("refund_status", options.refund_status)
        options.async_delay = float(data.get("async_delay", options.async_delay))
        options.webhook_wait = float(data.get("webhook_wait", options.webhook_wait))
        options.stripe_key = str(data.get("key", options.stripe_key))
        return {
            "async_delay": options.async_delay,
            "webhook_wait": options.webhook_wait,
            "refund_status": options.refund_status,
        }

    def pay(self, session_id: str, data: Data) -> Data:
        """Pay a session without the page; ``wait`` seconds for the webhook's answer when given."""
        outcome = data.pop("outcome", "paid")
        if outcome not in stripe_payments.OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(stripe_payments.OUTCOMES)}")
        wait = float(data.pop("wait", 0))
        events = stripe_payments.pay(self.world, session_id, outcome, data)
        answered = [
            self.world.webhooks.wait_for_answer(event["id"], wait)
            for event in events
            if wait and event["pending_webhooks"]
        ]
        return {
            "session": self.book.sessions[session_id],
            "events": [event["id"] for event in events],
            "answered": all(answered),
        }

    def expire(self, session_id: str, data: Data) -> Data:
        return stripe_payments.expire(self.world, session_id)

    def reverse(self, name: str, what: str, data: Data) -> Data:
        """Refund a charge, named by itself or its payment intent, as in the dashboard; have the
        buyer's bank dispute it, or its issuer warn of fraud.
        """
        charge = self.book.charge_of(name)
        work = {
            "refund": stripe_refunds.dashboard_refund,
            "dispute": stripe_disputes.open_dispute,
            "warning": stripe_fraud.open_warning,
        }[what]
        return self._answered(data, lambda: work(self.world, charge, data))

    def decide(self, dispute_id: str, data: Data) -> Data:
        """Bring a dispute to ``status``: any of Stripe's, or one that nobody knows yet; its money
        to where ``funds`` says; ``after`` so many seconds when given.
        """
        status, funds = str(data["status"]), str(data.get("funds", ""))
        if "after" in data:
            later = {"dispute": dispute_id, "status": status, "funds": funds}
            return stripe_later.schedule(self.world, float(data["after"]), later)
        return self._answered(
            data, lambda: stripe_disputes.decide(self.world, dispute_id, status, funds)
        )

    def end_refund(self, refund_id: str, how: str, data: Data) -> Data:
        """Let a refund succeed, fail (``reason`` as Stripe's failure_reason) or be canceled;
        ``after`` so many seconds when given.
        """
        status, reason = stripe_refunds.ENDS[how], str(data.get("reason", stripe_refunds.FAILURE))
        if "after" in data:
            later = {"refund": refund_id, "status": status, "reason": reason}
            return stripe_later.schedule(self.world, float(data["after"]), later)
        return self._answered(
            data, lambda: stripe_refunds.end(self.world, refund_id, status, reason)
        )

    def _answered(self, data: Data, work: Callable[[], Data]) -> Data:
        """Do the work and give the endpoint ``wait`` seconds to answer each of its events."""
        with self.book.lock:
            known = len(self.book.events)
            done = work()
            events = list(self.book.events.values())[known:]
        wait = float(data.get("wait", 0))
        for event in events:
            if wait and event["pending_webhooks"]:
                self.world.webhooks.wait_for_answer(event["id"], wait)
        return done

    def event(self, data: Data) -> Data:
        """Send an event of any type with any object: the newest kinds, or wrong ones."""
        hooks = self.world.webhooks
        made = stripe_objects.event(
            data["type"],
            data.get("object", {}),
            int(self.book.now()),
            listened=bool((hooks.url or hooks.hold) and data.get("send", True)),
        )
        made.update(pick(data, "id", "api_version", "created", "livemode"))
        with self.book.lock:
            self.book.events[made["id"]] = made
            hooks.send(made)
        return made

    def deliver(self, event_id: str, data: Data) -> Data:
        """Deliver an event again, ``times`` at the same moment, and say what came back."""
        if event_id not in self.book.events:
            raise KeyError(event_id)
        return {"deliveries": self.world.webhooks.deliver(event_id, int(data.get("times", 1)))}

    def deliver_in_order(self, data: Data) -> Data:
        """Deliver the named events one after the other; an event may be named several times."""
        lost = [event_id for event_id in data["events"] if event_id not in self.book.events]
        if lost:
            raise KeyError(lost[0])
        return {"deliveries": self.world.webhooks.deliver_in_order(data["events"])}

    def mail(self, data: Data) -> Data:
        """Put a mail into the mailbox, raw."""
        return {
            "number": receive(self.world, data["raw"], data.get("from", ""), data.get("to", []))
        }

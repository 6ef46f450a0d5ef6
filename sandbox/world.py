"""The sandbox as one object that holds its parts and the settings that control calls change."""

from __future__ import annotations

import heapq
import threading
from dataclasses import dataclass, field, fields, replace
from typing import Any

from sandbox.book import Book
from sandbox.faults import Faults
from sandbox.options import Options
from sandbox.stripe_settings import StripeSettings
from sandbox.webhooks import Webhooks


@dataclass(slots=True)
class LmsKey:
    """An LMS key's owner and roles."""

    user: str
    roles: frozenset[str]

    @property
    def is_system_user(self) -> bool:
        return bool(self.roles & {"Administrator", "System Manager"})


@dataclass(slots=True)
class LmsSettings:
    """What kind of Frappe LMS this is at the moment."""

    server: str = "A"
    keys: dict[str, LmsKey] = field(default_factory=dict)
    user_limit: int = 60
    hang_seconds: float = 2.0
    latency: float = 0.0
    user_latency: float = 0.0
    race_window: float = 0.0
    user_deadlocks: bool = False
    courses_any: bool = False
    tracebacks: bool = True
    block_endpoints: bool = False
    site_host: str = ""
    outgoing_mail: bool = True
    drops_key: bool = False  # as a proxy in front that does not pass the header on
    denied: frozenset[str] = frozenset()  # "User:create": taken from every role by the customer
    reset_limit: int = 3
    users_stay_off: bool = False  # as where a script of the site's takes the change back
    grant_fields: bool = False  # whether the custom method knows them
    # By learner and course: how far they are to be as soon as they are enrolled.
    progress_to_come: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The stock server it is underneath: the custom one is A with methods added."""
        return "A" if self.server == "custom" else self.server


@dataclass(slots=True)
class EdxSettings:
    """What kind of Open edX this is at the moment, and the tokens it has given."""

    client_id: str = "sandbox-client"
    client_secret: str = "sandbox-edx-secret"  # noqa: S105 -- the published secret of a sandbox
    grant_type: str = "client-credentials"
    user: str = "shop_worker"
    staff: bool = True
    token_seconds: float = 3600
    token_limit: int = 120
    api_limit: int = 120
    bulk: bool = False
    progress_tab: bool = True
    latency: float = 0.0
    courses_any: bool = False
    tokens_since: float = 0.0
    opaque: dict[str, float] = field(default_factory=dict)
    token_times: list[float] = field(default_factory=list)
    api_times: list[float] = field(default_factory=list)


class World:
    """Everything one sandbox process consists of."""

    def __init__(self, options: Options) -> None:
        self.options, self._given = options, replace(options)
        self.book = Book(options.state)
        self.faults = Faults()
        self.webhooks = Webhooks(self.book, options)
        self.lms = lms_settings(options)
        self.edx = EdxSettings(courses_any=options.courses_any)
        self.stripe = StripeSettings()
        self.keys_in_flight: set[str] = set()
        self.users_in_flight = 0
        self.base_url = options.public_url.rstrip("/")
        self.timer_set = threading.Condition(self.book.lock)
        self._expiries: list[tuple[int, str]] = []
        for session in self.book.sessions.values():
            self.watch_expiry(session)

    @property
    def pay_url(self) -> str:
        """Where payment pages are: here, or on the account's custom domain."""
        return self.stripe.account.pay_url or self.base_url

    def watch_expiry(self, session: dict[str, Any]) -> None:
        if session["status"] == "open":
            heapq.heappush(self._expiries, (session["expires_at"], session["id"]))

    def take_expired(self, now: float) -> list[str]:
        """Return the sessions whose time has passed since the last call, paid ones included."""
        due = []
        while self._expiries and self._expiries[0][0] <= now:
            due.append(heapq.heappop(self._expiries)[1])
        return [session_id for session_id in due if session_id in self.book.sessions]

    def defaults(self) -> None:
        """Set every switch as the command line does."""
        for item in fields(Options):
            setattr(self.options, item.name, getattr(self._given, item.name))
        self.faults.clear()
        self.webhooks.configure_from(self.options)
        self.lms = lms_settings(self.options)
        self.edx = EdxSettings(courses_any=self.options.courses_any)
        self.stripe = StripeSettings()


def lms_settings(options: Options) -> LmsSettings:
    owner = LmsKey(options.lms_user, roles_of(options.lms_role))
    return LmsSettings(
        server=options.lms_server,
        keys={options.lms_key: owner},
        user_limit=options.lms_user_limit,
        hang_seconds=options.lms_hang_seconds,
        latency=options.lms_latency_ms / 1000,
        courses_any=options.courses_any,
    )


def roles_of(text: str | list[str]) -> frozenset[str]:
    """Return the roles in "System Manager, Moderator", "System Manager + Moderator" or a list."""
    parts = text if isinstance(text, list) else text.replace("+", ",").split(",")
    return frozenset(part.strip() for part in parts if part.strip())

"""The control calls about Open edX: its application, limits, flags, courses and accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import openedx_accounts
from sandbox.openedx_store import (
    add_course,
    add_user,
    enrollment_of,
    find_course,
    put_allowed,
    put_enrollment,
    user_by_email,
)
from sandbox.wire import pick
from sandbox.world import World

Data = dict[str, Any]
SETTINGS = (
    "client_id",
    "client_secret",
    "grant_type",
    "user",
    "staff",
    "token_seconds",
    "token_limit",
    "api_limit",
    "bulk",
    "progress_tab",
    "latency",
    "courses_any",
)


class OpenEdxControl:
    """The routes that ``Control`` takes over."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("POST", r"/control/openedx", self.openedx),
            ("GET", r"/control/openedx", self.state),
        ]

    def openedx(self, data: Data) -> Data:
        """Change Open edX: ``courses``, ``accounts``, ``enrollments``, ``allowed`` add or change.

        ``activate`` and ``change_email`` are what a learner does, ``change_username`` what staff
        of a site do; ``progress`` sets done units,
        ``passed`` and ``certificate``; ``forget_tokens`` refuses every token given so far.
        """
        for name, value in pick(data, *SETTINGS).items():
            setattr(self.world.edx, name, type(getattr(self.world.edx, name))(value))
        if data.get("forget_tokens"):
            self.world.edx.tokens_since = self.book.now()
        with self.book.lock:
            for course in data.get("courses", []):
                add_course(self.world, course)
            for account in data.get("accounts", []):
                add_user(self.world, account)
            for entry in data.get("allowed", []):
                put_allowed(
                    self.world,
                    entry["email"],
                    entry["course_id"],
                    auto_enroll=entry.get("auto_enroll", True),
                )
            for row in data.get("enrollments", []):
                self._enrollment(row)
            self._learner(data)
        return self.state(data)

    def _enrollment(self, row: Data) -> None:
        put_enrollment(
            self.world,
            self._user(row["email"]),
            self._course(row["course_id"]),
            mode=row.get("mode", "audit"),
            is_active=row.get("is_active", True),
        )

    def _learner(self, data: Data) -> None:
        if "activate" in data:
            openedx_accounts.activate(self.world, self._user(data["activate"]))
        if "change_email" in data:
            step = data["change_email"]
            openedx_accounts.change_email(self.world, self._user(step["email"]), step["to"])
        if "change_username" in data:
            step = data["change_username"]
            openedx_accounts.change_username(self.world, self._user(step["email"]), step["to"])
        if "progress" in data:
            step = data["progress"]
            row = enrollment_of(
                self.world, self._user(step["email"]), self._course(step["course_id"])
            )
            if row is None:
                raise KeyError("enrollment")
            row.update(pick(step, "done", "passed", "certificate"))

    def _user(self, email: str) -> Data:
        user = user_by_email(self.world, email)
        if user is None:
            raise KeyError(email)
        return user

    def _course(self, key: str) -> Data:
        course = find_course(self.world, key)
        if course is None:
            raise KeyError(key)
        return course

    def state(self, data: Data) -> Data:
        """Return the books of Open edX."""
        edx = self.book.edx
        with self.book.lock:
            return {
                "accounts": list(edx["users"].values()),
                "courses": list(edx["courses"].values()),
                "enrollments": list(edx["enrollments"].values()),
                "allowed": list(edx["allowed"].values()),
                "settings": {name: getattr(self.world.edx, name) for name in SETTINGS},
            }

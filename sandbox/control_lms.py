"""The control calls about the LMS: its server, keys, limits, courses and users."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox import frappe_enrollments, frappe_renames, frappe_users
from sandbox.frappe_documents import add_certificate, add_course
from sandbox.options import SERVERS
from sandbox.wire import pick
from sandbox.world import LmsKey, World, roles_of

Data = dict[str, Any]
LMS_NUMBERS = (
    "user_limit",
    "reset_limit",
    "hang_seconds",
    "latency",
    "user_latency",
    "race_window",
)
LMS_FLAGS = (
    "user_deadlocks",
    "courses_any",
    "tracebacks",
    "block_endpoints",
    "outgoing_mail",
    "drops_key",
    "grant_fields",
    "users_stay_off",
)


class LmsControl:
    """The routes that ``Control`` takes over."""

    def __init__(self, world: World) -> None:
        self.world, self.book = world, world.book
        self.routes: list[tuple[str, str, Callable[..., object]]] = [
            ("POST", r"/control/lms", self.lms),
        ]

    def lms(self, data: Data) -> Data:
        """Change the LMS: server, keys, limits, courses, users, enrollments, progress.

        ``certificates`` name ``email``, ``course`` and, if it is not today, ``issue_date``.
        ``batches`` have a ``name``, ``courses``, and ``members`` who join.
        ``rename_user``, ``rename_course``, ``move`` and ``remove`` are what its staff do by hand.
        """
        settings = self.world.lms
        if data.get("server", settings.server) not in SERVERS:
            raise ValueError(f"server must be one of {', '.join(SERVERS)}")
        settings.server = data.get("server", settings.server)
        for name, value in pick(data, *LMS_NUMBERS, *LMS_FLAGS).items():
            setattr(settings, name, type(getattr(settings, name))(value))
        settings.site_host = data.get("host", settings.site_host)
        settings.denied = frozenset(data.get("denied", settings.denied))
        self._keys(data)
        with self.book.lock:
            courses = [add_course(self.world, course)["name"] for course in data.get("courses", [])]
            users = [frappe_users.add(self.world, user)["name"] for user in data.get("users", [])]
            enrolled = [
                frappe_enrollments.put(self.world, row)["name"]
                for row in data.get("enrollments", [])
            ]
            certificates = [
                add_certificate(self.world, row["email"], row["course"], row.get("issue_date"))
                for row in data.get("certificates", [])
            ]
            for batch in data.get("batches", []):
                frappe_enrollments.join(self.world, batch)
            frappe_renames.apply(self.world, data)
        return {
            "server": settings.server,
            "courses": courses,
            "users": users,
            "enrollments": enrolled,
            "certificates": [row["name"] for row in certificates],
            "progress_rows": self._progress(data.get("progress")),
        }

    def _progress(self, step: Data | None) -> int:
        """Return how many enrollments it was set on."""
        if step is None:
            return 0
        return frappe_enrollments.set_progress(
            self.world, step["email"], step["course"], step["percent"]
        )

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

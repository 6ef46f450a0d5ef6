"""The book: everything the sandbox knows, behind one lock, kept in a file when asked."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from sandbox.wire import Request, Response

Record = dict[str, Any]
DOCTYPES = (
    "User",
    "LMS Course",
    "LMS Enrollment",
    "LMS Payment",
    "LMS Source",
    "Address",
    "LMS Course Progress",
    "LMS Certificate",
    "LMS Batch",
    "LMS Batch Enrollment",
)
KEPT = (
    "sessions",
    "notes",
    "intents",
    "charges",
    "refunds",
    "disputes",
    "warnings",
    "invoices",
    "events",
    "owed",
    "endpoints",
    "answers",
    "timers",
    "docs",
    "edx",
    "user_times",
    "resets",
    "mails",
    "mail_count",
    "offset",
)
CALLS_KEPT = 20_000


class Book:
    """Ground truth of one sandbox. Hold ``lock`` while reading or changing more than one thing."""

    def __init__(self, path: str = "") -> None:
        self.lock = threading.RLock()
        self.path = Path(path) if path else None
        self.dirty = False
        self.reset()
        if self.path and self.path.exists():
            self._load(json.loads(self.path.read_text()))

    def reset(self) -> None:
        """Forget everything."""
        with self.lock:
            self.sessions: dict[str, Record] = {}
            self.notes: dict[str, Record] = {}
            self.intents: dict[str, Record] = {}
            self.charges: dict[str, Record] = {}
            self.refunds: dict[str, Record] = {}
            self.disputes: dict[str, Record] = {}
            self.warnings: dict[str, Record] = {}
            self.invoices: dict[str, Record] = {}
            self.events: dict[str, Record] = {}
            self.owed: dict[str, list[str]] = {}
            self.endpoints: dict[str, Record] = {}
            self.answers: dict[str, Record] = {}
            self.timers: list[Record] = []
            self.deliveries: deque[Record] = deque(maxlen=CALLS_KEPT)
            self.docs: dict[str, dict[str, Record]] = {doctype: {} for doctype in DOCTYPES}
            self.edx: dict[str, Any] = {
                **{name: {} for name in ("users", "names", "courses", "enrollments", "allowed")},
                "count": 0,
            }
            self.user_times: list[float] = []
            self.resets: dict[str, list[float]] = {}
            self.by_member: dict[str, list[str]] = {}
            self.mails: list[Record] = []
            self.mail_count = 0
            self.calls: deque[Record] = deque(maxlen=CALLS_KEPT)
            self.call_counts: dict[str, int] = {}
            self.offset = 0.0
            self.began_at = time.monotonic()
            self.dirty = True

    def now(self) -> float:
        """Return the sandbox's own time, which control calls can move ahead."""
        return time.time() + self.offset

    def note_call(self, target: str, request: Request, response: Response, facts: Record) -> None:
        """Keep what was asked and answered, with the ``facts`` that only this target has.

        A call that was hanging since before the last reset belongs to what is forgotten.
        """
        call = {
            "call": request.label,
            "query": request.query,
            "status": response.status,
            "transport": response.transport,
            **facts,
            "body": request.body[:2000].decode("utf-8", "replace"),
        }
        with self.lock:
            if request.came_at < self.began_at:
                return
            self.calls.append({"target": target, "at": self.now(), **call})
            self.call_counts[target] = self.call_counts.get(target, 0) + 1

    def charge_of(self, name: str) -> Record:
        """Return a charge by its own id or by its payment intent's. Raises KeyError."""
        return self.charges[self.intents[name]["latest_charge"] if name in self.intents else name]

    def add_enrollment(self, row: Record) -> None:
        self.docs["LMS Enrollment"][row["name"]] = row
        self.by_member.setdefault(row["member"].lower(), []).append(row["name"])
        self.dirty = True

    def remove_enrollment(self, name: str) -> None:
        row = self.docs["LMS Enrollment"].pop(name)
        self.by_member[row["member"].lower()].remove(name)
        self.dirty = True

    def enrollments_of(self, member: str) -> list[Record]:
        rows = self.docs["LMS Enrollment"]
        return [rows[name] for name in self.by_member.get(member.lower(), [])]

    def save(self) -> None:
        """Write the book to its file in one step, so that no reader sees half of it."""
        if self.path is None:
            return
        with self.lock:
            self.dirty = False
            text = json.dumps({name: getattr(self, name) for name in KEPT})
        handle, temporary = tempfile.mkstemp(dir=self.path.resolve().parent, prefix=self.path.name)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self.path)

    def _load(self, data: Record) -> None:
        for name in KEPT:
            setattr(self, name, data.get(name, getattr(self, name)))
        for doctype in DOCTYPES:
            self.docs.setdefault(doctype, {})
        for row in self.docs["LMS Enrollment"].values():
            self.by_member.setdefault(row["member"].lower(), []).append(row["name"])


class Saver(threading.Thread):
    """Writes a changed book shortly after the change, in at most a tenth of the time."""

    def __init__(self, book: Book) -> None:
        super().__init__(name="saver", daemon=True)
        self.book = book

    def run(self) -> None:
        pause = 0.2
        while True:
            time.sleep(pause)
            if self.book.dirty:
                started = time.monotonic()
                self.book.save()
                pause = max(0.2, 10 * (time.monotonic() - started))

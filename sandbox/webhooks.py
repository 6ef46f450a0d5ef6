"""Signed webhooks: delivery on background threads, retries with backoff; duplicates, disorder,
delay and loss on demand.
"""

from __future__ import annotations

import hashlib
import heapq
import hmac
import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from sandbox.book import Book
from sandbox.options import Options

WORKERS = 8
THREE_DAYS = 3 * 24 * 3600
ANSWER_KEPT = 500
Job = Callable[[], None]


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """Return the Stripe-Signature header of a body sent at ``timestamp``."""
    digest = hmac.new(
        secret.encode(), f"{timestamp}.".encode() + payload, hashlib.sha256
    ).hexdigest()
    return f"t={timestamp},v1={digest}"


class Webhooks:
    """The one endpoint that Stripe's stand-in knows, and the queue in front of it."""

    def __init__(self, book: Book, options: Options) -> None:
        self.book = book
        self._queue: list[tuple[float, int, Job]] = []
        self._ready = threading.Condition()
        self._count = itertools.count()
        self._first_answers: dict[str, threading.Event] = {}
        self.held: list[str] = []
        self.configure_from(options)
        for number in range(WORKERS):
            threading.Thread(target=self._work, name=f"webhook-{number}", daemon=True).start()

    def configure_from(self, options: Options) -> None:
        """Put the endpoint back to what the command line says, with nothing held or queued."""
        self.url, self.secret = options.webhook_url, options.webhook_secret
        self.types = options.webhook_events.split(",")
        self.retry_base, self.timeout = options.webhook_retry_base, options.webhook_timeout
        self.duplicates, self.delay, self.drop, self.hold = 1, 0.0, 0, False
        self.api_version = ""
        self.held.clear()
        with self._ready:
            self._queue.clear()

    def listens_to(self, event_type: str) -> bool:
        return bool(self.url or self.hold) and any(
            fnmatchcase(event_type, pattern.strip()) for pattern in self.types
        )

    def send(self, event: dict[str, Any]) -> None:
        """Queue an event for the endpoint, as the switches have it."""
        if not event["pending_webhooks"]:
            return
        if self.hold:
            self.held.append(event["id"])
            return
        if self.drop:
            self.drop -= 1
            self._log(
                event, "dropped", attempt=1, status=0, answer="lost on the way, by request", ms=0
            )
            return
        self._first_answers[event["id"]] = threading.Event()
        for _ in range(self.duplicates):
            self._later(self.delay, partial(self._attempt, event["id"], 1))

    def release(self, order: str | list[str] = "given", seed: int = 1) -> list[str]:
        """Send what was held, one after the other: given, reversed, shuffled or a list of event
        ids. Returns the order.
        """
        with self.book.lock:
            held, self.held, self.hold = self.held, [], False
        ids = list(order) if isinstance(order, list) else _ordered(held, order, seed)
        self._later(0, partial(self._attempt_all, ids))
        return ids

    def wait_for_answer(self, event_id: str, seconds: float) -> bool:
        """Wait until the endpoint has answered the first delivery of an event. False when it did
        not in time.
        """
        answered = self._first_answers.get(event_id)
        return (
            answered.wait(seconds)
            if answered
            else not self.book.events[event_id]["pending_webhooks"]
        )

    def deliver(self, event_id: str, times: int = 1) -> list[dict[str, Any]]:
        """Deliver an event now, ``times`` at the same moment, and return what came back."""
        barrier = threading.Barrier(times)
        results: list[dict[str, Any]] = []

        def run() -> None:
            barrier.wait()
            results.append(self._post(self.book.events[event_id], attempt=1))

        threads = [threading.Thread(target=run, daemon=True) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def deliver_in_order(self, event_ids: list[str]) -> list[dict[str, Any]]:
        """Deliver events one after the other, as often as they are named, and return what came
        back.
        """
        return [self._post(self.book.events[event_id], attempt=1) for event_id in event_ids]

    def resume(self) -> None:
        """Queue what was undelivered when the sandbox was last stopped."""
        for event in self.book.events.values():
            if self.url and event["pending_webhooks"]:
                self._later(self.retry_base, partial(self._attempt, event["id"], 2))

    def _later(self, seconds: float, job: Job) -> None:
        with self._ready:
            heapq.heappush(self._queue, (time.monotonic() + seconds, next(self._count), job))
            self._ready.notify()

    def _work(self) -> None:
        while True:
            self._next_job()()

    def _next_job(self) -> Job:
        with self._ready:
            while not self._queue or self._queue[0][0] > time.monotonic():
                self._ready.wait(self._queue[0][0] - time.monotonic() if self._queue else None)
            return heapq.heappop(self._queue)[2]

    def _attempt_all(self, event_ids: list[str]) -> None:
        for event_id in event_ids:
            self._attempt(event_id, 1)

    def _attempt(self, event_id: str, number: int) -> None:
        event = self.book.events.get(event_id)
        if event is None or (number > 1 and not event["pending_webhooks"]):
            return
        result = self._post(event, number)
        if number == 1 and event_id in self._first_answers:
            self._first_answers.pop(event_id).set()
        pause = self.retry_base * 2 ** (number - 1)
        if result["outcome"] != "delivered" and pause <= THREE_DAYS:
            self._later(pause, partial(self._attempt, event_id, number + 1))

    def _post(self, event: dict[str, Any], attempt: int) -> dict[str, Any]:
        started, status = time.monotonic(), 0
        try:
            status, answer = self._request(json.dumps(event, indent=2).encode())
        except (OSError, HTTPException, ValueError) as error:
            answer = f"{type(error).__name__}: {error}"
        delivered = status // 100 == 2
        if delivered:
            event["pending_webhooks"], self.book.dirty = 0, True
        outcome = "delivered" if delivered else "failed"
        return self._log(
            event,
            outcome,
            attempt=attempt,
            status=status,
            answer=answer,
            ms=round((time.monotonic() - started) * 1000),
        )

    def _request(self, body: bytes) -> tuple[int, str]:
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": sign(body, self.secret, int(self.book.now())),
        }
        try:
            connection.request(
                "POST",
                (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                body,
                headers,
            )
            response = connection.getresponse()
            return response.status, response.read(ANSWER_KEPT).decode("utf-8", "replace")
        finally:
            connection.close()

    def _log(self, event: dict[str, Any], outcome: str, **facts: object) -> dict[str, Any]:
        entry = {
            "event": event["id"],
            "type": event["type"],
            "outcome": outcome,
            "at": self.book.now(),
            **facts,
        }
        with self.book.lock:
            if event["id"] in self.book.events:
                self.book.deliveries.append(entry)
        return entry


def _ordered(ids: list[str], order: str, seed: int) -> list[str]:
    if order == "reversed":
        return ids[::-1]
    if order == "shuffled":
        return random.Random(seed).sample(ids, len(ids))
    return list(ids)

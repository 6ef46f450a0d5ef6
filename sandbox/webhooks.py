"""Signed webhooks: delivery on background threads, and retries with backoff.

Duplicates, disorder, delay and loss come on demand.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from sandbox.book import Book
from sandbox.due_queue import DueQueue
from sandbox.options import Options
from sandbox.stripe_endpoints import ENABLED, MAIN_ID, SNAPSHOT, is_for, rendered
from sandbox.stripe_objects import API_VERSION

WORKERS = 8
THREE_DAYS = 3 * 24 * 3600
ANSWER_KEPT = 500


def sign(payload: bytes, secret: str, timestamp: int) -> str:
    """Return the Stripe-Signature header of a body sent at ``timestamp``."""
    digest = hmac.new(
        secret.encode(), f"{timestamp}.".encode() + payload, hashlib.sha256
    ).hexdigest()
    return f"t={timestamp},v1={digest}"


class Webhooks:
    """The endpoints that events are sent to, and the queue of their deliveries.

    The main endpoint is that of the options and the switches; others are created by the API.
    """

    def __init__(self, book: Book, options: Options) -> None:
        self.book = book
        self._queue = DueQueue(book, "webhook", WORKERS)
        self._first_answers: dict[str, threading.Event] = {}
        self._unanswered: dict[str, set[str]] = {}
        self.held: list[str] = []
        self.configure_from(options)

    def configure_from(self, options: Options) -> None:
        """Set the endpoint as the command line does, with nothing held or queued."""
        self.url, self.secret = options.webhook_url, options.webhook_secret
        self.types = options.webhook_events.split(",")
        self.retry_base, self.timeout = options.webhook_retry_base, options.webhook_timeout
        self.duplicates, self.delay, self.drop, self.hold = 1, 0.0, 0, False
        self.api_version = self.default_version = API_VERSION
        self.status, self.payload, self.since = ENABLED, SNAPSHOT, int(self.book.now())
        self.held.clear()
        self._queue.clear()

    def main(self) -> dict[str, Any]:
        """Return the main endpoint's record."""
        return {
            "id": MAIN_ID,
            "url": self.url,
            "secret": self.secret,
            "enabled_events": [pattern.strip() for pattern in self.types],
            "api_version": self.api_version or None,
            "status": self.status,
            "payload": self.payload,
            "created": self.since,
            "description": None,
            "metadata": {},
        }

    def endpoints(self) -> list[dict[str, Any]]:
        """Return every endpoint, the main one only if it has an address or will be given one."""
        main = [self.main()] if self.url or self.hold else []
        return [*main, *self.book.endpoints.values()]

    def listeners(self, event_type: str) -> list[str]:
        """Return the ids of the endpoints that get events of this type."""
        return [
            endpoint["id"]
            for endpoint in self.endpoints()
            if is_for(endpoint, event_type, self.default_version)
        ]

    def owing(self, event: dict[str, Any]) -> list[str]:
        """Return the ids of the endpoints that have not taken this event yet."""
        alone = [MAIN_ID] if event["pending_webhooks"] else []
        return list(self.book.owed.get(event["id"], alone))

    def send(self, event: dict[str, Any]) -> None:
        """Queue an event for its endpoints, as the switches have it."""
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
        self._unanswered[event["id"]] = set(self.owing(event))
        for endpoint in self.owing(event):
            for _ in range(self.duplicates):
                self._queue.put(
                    self.book.now() + self.delay, partial(self._attempt, event["id"], endpoint, 1)
                )

    def release(self, order: str | list[str] = "given", seed: int = 1) -> list[str]:
        """Send what was held, one after the other, and return the order.

        ``order`` is given, reversed, shuffled or a list of event ids.
        """
        with self.book.lock:
            held, self.held, self.hold = self.held, [], False
        ids = list(order) if isinstance(order, list) else _ordered(held, order, seed)
        self._queue.put(0, partial(self._attempt_all, ids))
        return ids

    def wait_for_answer(self, event_id: str, seconds: float) -> bool:
        """Wait until an event's first delivery is answered, and return whether it was in time."""
        answered = self._first_answers.get(event_id)
        return (
            answered.wait(seconds)
            if answered
            else not self.book.events[event_id]["pending_webhooks"]
        )

    def wait_until_sent(self, seconds: float) -> bool:
        """Wait until every delivery that is due has been made; return whether it was in time."""
        return self._queue.wait_until_done(seconds)

    def deliver(self, event_id: str, times: int = 1) -> list[dict[str, Any]]:
        """Deliver an event now, ``times`` at the same moment, and return what came back."""
        barrier = threading.Barrier(times)
        results: list[dict[str, Any]] = []

        def run() -> None:
            barrier.wait()
            results.append(self._post(self.book.events[event_id], self._chosen(), attempt=1))

        threads = [threading.Thread(target=run, daemon=True) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def deliver_in_order(self, event_ids: list[str]) -> list[dict[str, Any]]:
        """Deliver events one after the other, as often as they are named; return the answers."""
        return [
            self._post(self.book.events[event_id], self._chosen(), attempt=1)
            for event_id in event_ids
        ]

    def deliver_body(self, body: dict[str, Any]) -> dict[str, Any]:
        """Deliver a body that is no event of the book, signed, and return what came back."""
        return self._exchange(body, body, self._chosen(), attempt=1)

    def resume(self) -> None:
        """Queue what was undelivered when the sandbox was last stopped."""
        for event in self.book.events.values():
            for endpoint in self.owing(event):
                self._queue.put(
                    self.book.now() + self.retry_base,
                    partial(self._attempt, event["id"], endpoint, 2),
                )

    def _chosen(self) -> dict[str, Any]:
        """The endpoint for what is sent by request: the main one, or else the first that is."""
        return next((each for each in self.endpoints() if each["url"]), self.main())

    def _attempt_all(self, event_ids: list[str]) -> None:
        for event_id in event_ids:
            listeners = self.listeners(self.book.events[event_id]["type"])
            for endpoint in listeners or [MAIN_ID]:
                self._attempt(event_id, endpoint, 1)

    def _attempt(self, event_id: str, endpoint_id: str, number: int) -> None:
        event = self.book.events.get(event_id)
        endpoint = next((each for each in self.endpoints() if each["id"] == endpoint_id), None)
        if event is None or endpoint is None:
            return
        if number > 1 and endpoint_id not in self.owing(event):
            return
        result = self._post(event, endpoint, number)
        again = self.book.now() + self.retry_base * 2 ** (number - 1)
        if result["outcome"] != "delivered" and again <= event["created"] + THREE_DAYS:
            self._queue.put(again, partial(self._attempt, event_id, endpoint_id, number + 1))
        if number == 1:
            self._note_answer(event_id, endpoint_id)

    def _note_answer(self, event_id: str, endpoint_id: str) -> None:
        waiting = self._unanswered.get(event_id, set())
        waiting.discard(endpoint_id)
        if not waiting and event_id in self._first_answers:
            self._first_answers.pop(event_id).set()

    def _post(
        self, event: dict[str, Any], endpoint: dict[str, Any], attempt: int
    ) -> dict[str, Any]:
        body = rendered(event, endpoint, self.default_version)
        entry = self._exchange(event, body, endpoint, attempt=attempt)
        if entry["outcome"] == "delivered":
            with self.book.lock:
                owing = [each for each in self.owing(event) if each != endpoint["id"]]
                event["pending_webhooks"], self.book.dirty = len(owing), True
                if event["id"] in self.book.events:
                    self.book.owed[event["id"]] = owing
        return entry

    def _exchange(
        self,
        event: dict[str, Any],
        body: dict[str, Any],
        endpoint: dict[str, Any],
        *,
        attempt: int,
    ) -> dict[str, Any]:
        started, status = time.monotonic(), 0
        try:
            status, answer = self._request(json.dumps(body, indent=2).encode(), endpoint)
        except (OSError, HTTPException, ValueError) as error:
            answer = f"{type(error).__name__}: {error}"
        return self._log(
            event,
            "delivered" if status // 100 == 2 else "failed",
            endpoint=endpoint["id"],
            attempt=attempt,
            status=status,
            answer=answer,
            ms=round((time.monotonic() - started) * 1000),
        )

    def _request(self, body: bytes, endpoint: dict[str, Any]) -> tuple[int, str]:
        parts = urlsplit(endpoint["url"])
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": sign(body, endpoint["secret"], int(self.book.now())),
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

"""The clock's work: sessions that expire, and what was to happen to money by now."""

from __future__ import annotations

import threading

from sandbox import stripe_later, stripe_payments
from sandbox.world import World

TICK = 0.5


class Ticker(threading.Thread):
    """Looks twice a second, and at once when a timer is set, what has become due."""

    def __init__(self, world: World) -> None:
        super().__init__(name="ticker", daemon=True)
        self.world = world

    def run(self) -> None:
        while True:
            with self.world.timer_set:
                self.world.timer_set.wait(self._pause())
            tick(self.world)

    def _pause(self) -> float:
        book = self.world.book
        next_timer = min((timer["at"] for timer in book.timers), default=book.now() + TICK)
        return max(0.0, min(TICK, next_timer - book.now()))


def tick(world: World) -> None:
    """Do everything that is due by the sandbox's clock."""
    book = world.book
    with book.lock:
        now = book.now()
        due = [timer for timer in book.timers if timer["at"] <= now]
        book.timers = [timer for timer in book.timers if timer["at"] > now]
        for timer in due:
            stripe_later.run(world, timer)
        for session_id in world.take_expired(now):
            _expire(world, session_id)


def _expire(world: World, session_id: str) -> None:
    if world.book.sessions[session_id]["status"] == "open":
        stripe_payments.expire(world, session_id)

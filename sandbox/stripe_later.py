"""What happens to money by itself, days later: a debit that ends, a refund, a dispute."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sandbox import stripe_disputes, stripe_payments, stripe_refunds
from sandbox.world import World

Record = dict[str, Any]


def schedule(world: World, seconds: float, what: Record) -> Record:
    """Have it done when so many seconds of the sandbox's clock have passed; return the timer."""
    with world.book.lock:
        timer = {"at": world.book.now() + seconds, **what}
        world.book.timers.append(timer)
        world.book.dirty = True
        world.timer_set.notify()
        return timer


def run(world: World, timer: Record) -> None:
    """Do what a timer says, unless something else has happened to the object meanwhile."""
    with suppress(ValueError):
        if "refund" in timer:
            stripe_refunds.end(world, timer["refund"], timer["status"], timer["reason"])
        elif "dispute" in timer:
            stripe_disputes.decide(world, timer["dispute"], timer["status"], timer["funds"])
        else:
            stripe_payments.settle(world, timer["session"], timer["outcome"])

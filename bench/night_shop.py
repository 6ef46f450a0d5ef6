"""The shop that a night works on: who is there, and how its rows are made from their numbers."""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any, NamedTuple

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import User
from affiliates.models import Affiliate
from courses.models import Course
from demo.courses import seed_courses
from grants.models import Program

YEARS = timedelta(days=3 * 365)
BACKLOG = timedelta(days=30)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SLICE = 2000
ENROLLMENTS_OF_AN_AFFILIATE = 500


class Shop(NamedTuple):
    """What the enrollments of a grown shop point to."""

    now: datetime
    size: int
    courses: list[Course]
    affiliates: list[Affiliate]
    staff: list[User]
    program: Program

    def moment(self, number: int) -> datetime:
        """Return when the enrollment of this number was begun; the last one an hour ago."""
        return self.now - timedelta(hours=1) - YEARS * (1 - (number + 1) / self.size)

    def keeps(self, moment: datetime) -> bool:
        """Return whether finished work of that moment is still there."""
        return moment > self.now - settings.WORK_KEEP_FINISHED - BACKLOG


def make_shop(size: int) -> Shop:
    seed_courses()
    now = timezone.now().replace(microsecond=0)
    courses = list(Course.objects.filter(price__gt=0, currency="usd").order_by("slug"))
    staff = [User(id=uid(now - YEARS, n), email=f"staff{n}@maaledu.example") for n in range(2)]
    count = max(size // ENROLLMENTS_OF_AN_AFFILIATE, 20)
    learners = [
        User(id=uid(now - YEARS, f"user{n}"), email=f"buyer{n}@buyers.example")
        for n in range(count)
    ]
    affiliates = [affiliate_of(learner, n, now - YEARS) for n, learner in enumerate(learners)]
    program = Program(id=uid(now - YEARS, "program"), name="Growth", currency="usd")
    for part in sliced([*staff, *learners, *affiliates, program]):
        write(part)
    return Shop(now, size, courses, affiliates, staff, program)


def affiliate_of(user: User, number: int, at: datetime) -> Affiliate:
    return Affiliate(
        id=uid(at, f"affiliate{number}"),
        user=user,
        email=user.email,
        alias_key=user.email,
        name=f"Affiliate {number}",
        code=f"AFF{number:07}",
        status=Affiliate.ACTIVE,
        rate_basis_points=1000,
        payout_method=Affiliate.BANK,
        terms_accepted_at=at,
        created_at=at,
        updated_at=at,
        activated_at=at,
    )


def uid(moment: datetime, seed: object) -> uuid.UUID:
    """Return an id as the product makes them, in the order of time; its copies have another 000."""
    noise = int.from_bytes(blake2b(str(seed).encode(), digest_size=8).digest())
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | noise >> 2)


def chance(seed: object) -> float:
    """Return a number from 0 to 1 that is this seed's own."""
    return int.from_bytes(blake2b(str(seed).encode(), digest_size=4).digest()) / 2**32


def sliced(rows: Iterable[Any]) -> Iterator[list[Any]]:
    left = iter(rows)
    while part := list(islice(left, SLICE)):
        yield part


def write(rows: Iterable[models.Model]) -> None:
    """Insert rows of several models, those of one model together, in the order they first come."""
    by_model: dict[type[models.Model], list[models.Model]] = {}
    for row in rows:
        by_model.setdefault(type(row), []).append(row)
    for model, of_model in by_model.items():
        model._base_manager.bulk_create(of_model, batch_size=SLICE)


def done(at: datetime, seed: str) -> dict[str, Any]:
    moments = {"created_at": at, "updated_at": at, "finished_at": at, "next_attempt_at": at}
    return {"id": uid(at, seed), "status": "done", "fence": 1, "claim_token": seed[:32], **moments}

"""What grows in a shop beside its purchases: visits, sign-ins, limits, troubles."""

from collections.abc import Callable
from datetime import datetime

from django.contrib.sessions.models import Session
from django.db import models

from affiliates.models import ReferralVisit
from bench.night_shop import DAY, Shop, done, sliced, uid, write
from grants.models import Refusal
from maaledu.models import LimitCount
from notifications.models import Alert, AlertNotice
from operations.models import Trouble


def write_grown_beside(shop: Shop) -> None:
    """Write what grows with visits, sign-ins, limits and troubles, some past its retention."""
    grown: list[Callable[[Shop, int], models.Model]] = [
        _session,
        _limit_count,
        _visit,
        _refusal,
        _trouble,
        _alert,
    ]
    for make in grown:
        for numbers in sliced(range(shop.size // 10)):
            write(make(shop, number) for number in numbers)
    for alerts in sliced(Alert.objects.order_by("pk").values_list("pk", "created_at")):
        write(
            AlertNotice(
                **done(at, f"notice{pk}"), alert_id=pk, dedupe_key=f"{pk}:slack", channel="slack"
            )
            for pk, at in alerts
        )


def _lately(shop: Shop, number: int) -> datetime:
    """Return a moment of the last 120 days, of which 30 are past what is kept."""
    return shop.now - 120 * DAY * (number + 1) / (shop.size // 10)


def _session(shop: Shop, number: int) -> models.Model:
    expires_at = _lately(shop, number) + 100 * DAY
    return Session(session_key=f"session{number}", session_data="x" * 200, expire_date=expires_at)


def _limit_count(shop: Shop, number: int) -> models.Model:
    return LimitCount(key=f"limit{number}", count=3, ends_at=_lately(shop, number))


def _visit(shop: Shop, number: int) -> models.Model:
    at, affiliate = _lately(shop, number), shop.affiliates[number % len(shop.affiliates)]
    return ReferralVisit(
        id=uid(at, f"visit{number}"),
        affiliate=affiliate,
        day=at.date(),
        visitor_key=f"visitor{number}",
        created_at=at,
    )


def _refusal(shop: Shop, number: int) -> models.Model:
    at = _lately(shop, number)
    return Refusal(
        id=uid(at, f"refusal{number}"), reason="unknown", tried_by="g…@example.com", created_at=at
    )


def _trouble(shop: Shop, number: int) -> models.Model:
    at = _lately(shop, number)
    return Trouble(
        id=uid(at, f"trouble{number}"),
        open_key=f"queues:{number}",
        cause="queues",
        level="yellow",
        worst="yellow",
        text="work is waiting",
        began_at=at,
        seen_at=at,
        ended_at=at,
    )


def _alert(shop: Shop, number: int) -> models.Model:
    at = _lately(shop, number)
    return Alert(
        id=uid(at, f"alert{number}"),
        key=f"level:{number}",
        kind="level",
        subject=f"Now yellow: work is waiting since number {number}",
        lines=["12 due."],
        since=at,
        created_at=at,
        recovered_at=at,
    )

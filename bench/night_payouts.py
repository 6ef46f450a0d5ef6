"""What the affiliates of a grown shop have, and what they were paid."""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from django.db import models

from affiliates.models import (
    Affiliate,
    Balance,
    LedgerEntry,
    Payout,
    PayoutBatch,
    PayoutItem,
)
from bench.night_shop import DAY, Shop, uid, write


def balance(affiliate: Affiliate, entries: list[LedgerEntry], shop: Shop) -> Iterator[models.Model]:
    later = [entry for entry in entries if entry.available_at > shop.now]
    pending = sum(entry.amount for entry in later)
    paid = _payable_before(entries, _payable_on(shop))
    paid = max(paid, 0)
    yield Balance(
        id=uid(shop.now, f"balance{affiliate.pk}"),
        affiliate=affiliate,
        currency="usd",
        pending=pending,
        payable=sum(entry.amount for entry in entries) - pending - paid,
        paid=paid,
        matured_through=shop.now,
        matures_at=min((entry.available_at for entry in later), default=None),
        version=len(entries),
    )


def _payable_on(shop: Shop) -> datetime:
    return shop.now - 60 * DAY


def _payable_before(entries: list[LedgerEntry], moment: datetime) -> int:
    return sum(entry.amount for entry in entries if entry.available_at < moment)


def write_payouts(shop: Shop, entries: dict[uuid.UUID, list[LedgerEntry]]) -> None:
    """Pay out what was payable two months ago: each affiliate's months, each in one payout."""
    batches: dict[str, PayoutBatch] = {}
    for affiliate in shop.affiliates:
        rows: list[models.Model] = []
        of_month: dict[str, list[LedgerEntry]] = defaultdict(list)
        until = _payable_on(shop)
        payable = [entry for entry in entries[affiliate.pk] if entry.available_at < until]
        if sum(entry.amount for entry in payable) <= 0:
            continue
        for entry in payable:
            of_month[f"{entry.available_at:%Y-%m}"].append(entry)
        for month, paid_out in sorted(of_month.items()):
            if month not in batches:
                batches[month] = _batch(month, paid_out[0].available_at, shop)
                write([batches[month]])
            rows += _payout(batches[month], affiliate, paid_out)
        write(rows)


def _batch(month: str, at: datetime, shop: Shop) -> PayoutBatch:
    drafted_by, released_by = shop.staff
    return PayoutBatch(
        id=uid(at, f"batch{month}"),
        currency="usd",
        method=Affiliate.BANK,
        payable_on=at.date(),
        minimum=5000,
        status="paid",
        drafted_by=drafted_by,
        released_by=released_by,
        released_at=at,
        paid_at=at,
        reference=month,
        created_at=at,
        updated_at=at,
    )


def _payout(
    batch: PayoutBatch, affiliate: Affiliate, entries: list[LedgerEntry]
) -> Iterator[models.Model]:
    amount, at = sum(entry.amount for entry in entries), batch.created_at
    payout = Payout(
        id=uid(at, f"payout{batch.pk}{affiliate.pk}"),
        batch=batch,
        affiliate=affiliate,
        amount=abs(amount),
        currency="usd",
        entry_count=len(entries),
        payee_name=affiliate.name,
        status="paid",
        created_at=at,
        updated_at=at,
    )
    yield payout
    for entry in entries:
        yield PayoutItem(
            id=uid(at, f"item{entry.pk}"),
            payout=payout,
            affiliate_id=affiliate.pk,
            entry=entry,
            amount=entry.amount,
        )
    yield LedgerEntry(
        id=uid(at, f"booked{payout.pk}"),
        affiliate=affiliate,
        kind=LedgerEntry.PAYOUT,
        amount=-amount,
        currency="usd",
        payout_id=payout.pk,
        source_key=f"payout:{payout.pk}",
        available_at=at,
        created_by="bench",
        created_at=at,
    )

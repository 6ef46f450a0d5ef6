"""Accounts with a past: by the product's own functions where the events matter, in bulk where only
the size does.
"""

from datetime import datetime, timedelta

from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone

from affiliates import ledger, payout_drafts, payouts
from affiliates.ledger import Adjustment
from affiliates.models import Affiliate, Balance, LedgerEntry, Payout, ReferralDay
from affiliates.payout_drafts import Run
from tests.affiliates.make import make_affiliate, make_staff, sell, tomorrow
from tests.factories import deliver, dispute_of, disputed, make_course, refund_of, refunded
from tests.remembering import remembered

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


def signed_in(affiliate: Affiliate) -> Client:
    client = Client(headers=BROWSER)
    client.force_login(affiliate.user)
    return client


def adjust(affiliate: Affiliate, amount: int, key: str, currency: str = "usd") -> None:
    assert ledger.adjust(
        affiliate,
        Adjustment(
            key=key,
            amount=amount,
            currency=currency,
            by="staff@example.com",
            note=f"Correction {key}",
        ),
    )


def pay_out(currency: str = "usd") -> Payout:
    """Draft, release and mark paid what is payable, by two people; return the one payout there
    is.
    """
    first, second = make_staff(), make_staff()
    batch = payout_drafts.draft(Run(currency, Affiliate.BANK, tomorrow()), by=first)
    payouts.release(batch, by=second)
    (payout,) = payouts.mark_paid(batch, by=second, reference="SEPA-7")
    return payout


def who_lived_through() -> tuple[Affiliate, Payout]:
    """Return an affiliate with everything there is, and what was paid out."""
    return remembered(_live_through)


def _live_through() -> tuple[Affiliate, Payout]:
    """A payout, a refund after it, a sale on hold, pending sales, adjustments, two currencies."""
    affiliate = make_affiliate()
    client, course = Client(), make_course(price=49900, title="Data Analysis")
    with override_settings(COMMISSION_HOLD=timedelta(0)):
        _, early = sell(client, affiliate, course)
        sell(client, affiliate, course)
        ledger.mature()
        payout = pay_out()
        deliver(client, refunded(refund_of(early, 16633)))
        _, doubtful = sell(client, affiliate, course)
        deliver(client, disputed(dispute_of(doubtful)))
        ledger.mature()
    _, refunded_sale = sell(client, affiliate, course)
    deliver(client, refunded(refund_of(refunded_sale)))
    sell(client, affiliate, course)
    sell(client, affiliate, make_course(price=19999, currency="eur", title="Project Finance"))
    for number in range(25):
        adjust(affiliate, 100 + number, key=f"{affiliate.code}-{number}")
    return affiliate, payout


def book_in_bulk(
    affiliate: Affiliate, count: int, *, since: datetime, currency: str = "usd"
) -> None:
    """Spread `count` entries evenly from `since` to now, the last month of them pending, with the
    balance that they make.
    """
    now, hold = timezone.now(), timedelta(days=30)
    step = (now - since) // count
    moments = [(since + step * number).replace(microsecond=0) for number in range(count)]
    LedgerEntry.objects.bulk_create(
        [
            LedgerEntry(
                affiliate=affiliate,
                kind=LedgerEntry.ADJUSTMENT,
                amount=100 + number % 7,
                currency=currency,
                source_key=f"bulk:{affiliate.code}:{currency}:{number}",
                available_at=moment + hold,
                created_by="test",
                note="In bulk",
                created_at=moment,
            )
            for number, moment in enumerate(moments)
        ],
        batch_size=1000,
    )
    pending = sum(100 + number % 7 for number, moment in enumerate(moments) if moment + hold > now)
    total = sum(100 + number % 7 for number in range(count))
    Balance.objects.create(
        affiliate=affiliate,
        currency=currency,
        pending=pending,
        payable=total - pending,
        matured_through=now,
    )
    Affiliate.objects.filter(pk=affiliate.pk).update(created_at=since)


def visit_in_bulk(affiliate: Affiliate, *, days: int, courses: int) -> None:
    today = timezone.now().date()
    rows = [
        ReferralDay(
            affiliate=affiliate,
            day=today - timedelta(days=day),
            course_slug=f"course-of-{number}",
            visits=day % 5 + number,
        )
        for day in range(days)
        for number in range(courses)
    ]
    ReferralDay.objects.bulk_create(rows, batch_size=1000)

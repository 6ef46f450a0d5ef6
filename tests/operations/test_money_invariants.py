"""Every check of the money has teeth: the books are damaged in one way, and the check that guards
it names the row.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import CheckConstraint, F, QuerySet
from django.test import Client
from django.utils import timezone

from affiliates import immutability, payout_drafts, payouts
from affiliates.models import (
    Affiliate,
    Balance,
    Commission,
    LedgerEntry,
    Payout,
    PayoutBatch,
    PayoutItem,
)
from affiliates.payout_drafts import Run
from enrollments import mails
from enrollments.models import Enrollment, EnrollmentEvent
from grants.models import Grant
from lms_sync.models import SyncJob
from maaledu.db import new_id
from notifications.models import Email
from operations import invariants
from operations.invariants.ledger import check_balances, check_commissions, check_sales_are_credited
from operations.invariants.payouts import check_payouts, check_two_persons
from operations.invariants.reading import Check, Scope
from operations.invariants.reversals import check_ended_enrollments, check_refunds
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund
from tests.affiliates.make import make_affiliate, make_staff, sell, tomorrow
from tests.affiliates.rivals import rival_before
from tests.cleaning import empty_database
from tests.concurrency import race
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_pending,
    refund_of,
    refunded,
)
from tests.grants.make import make_coupon
from tests.holding import worth_asking
from tests.remembering import remembered

pytestmark = pytest.mark.breaks_invariants


@dataclass
class Books:
    """A sale that stands, one that was refunded in part, one refunded whole, one in dispute, and a
    payout of the first two.
    """

    affiliate: Affiliate
    sale: Enrollment
    partly: Enrollment
    over: Enrollment
    disputed: Enrollment
    batch: PayoutBatch

    @property
    def balance(self) -> Balance:
        return Balance.objects.get(affiliate=self.affiliate)

    def commission(self, enrollment: Enrollment) -> Commission:
        return Commission.objects.get(enrollment_id=enrollment.pk)

    def payment(self, enrollment: Enrollment) -> Payment:
        return Payment.objects.get(enrollment=enrollment)

    @property
    def payout(self) -> Payout:
        return Payout.objects.get(batch=self.batch)


@pytest.fixture
def books(settings: Any) -> Books:
    settings.COMMISSION_HOLD, settings.PAYOUT_MINIMUM = timedelta(0), 100
    return remembered(make_books)


def make_books() -> Books:
    client, affiliate = Client(), make_affiliate()
    sales = [sell(client, affiliate) for _ in range(4)]
    deliver(client, refunded(refund_of(sales[1][1], 10000)))
    deliver(client, refunded(refund_of(sales[2][1])))
    deliver(client, disputed(dispute_of(sales[3][1])))
    batch = payout_drafts.draft(Run("usd", Affiliate.BANK, tomorrow()), by=make_staff())
    payouts.release(batch, by=make_staff())
    enrollments = [Enrollment.objects.get(pk=enrollment.pk) for enrollment, _ in sales]
    assert [enrollment.status for enrollment in enrollments] == ["paid", "paid", "refunded", "paid"]
    assert invariants.verify() == []
    return Books(affiliate, *enrollments, PayoutBatch.objects.get(pk=batch.pk))


def entry(
    books: Books, amount: int, kind: str = LedgerEntry.ADJUSTMENT, **fields: Any
) -> LedgerEntry:
    """Return an entry that was written past `ledger.write`."""
    made = LedgerEntry(
        affiliate=books.affiliate,
        kind=kind,
        amount=amount,
        currency="usd",
        source_key=f"damage:{new_id()}",
        created_by="test",
        **{"available_at": timezone.now() - timedelta(days=1), **fields},
    )
    made.save()
    return made


def take_out(row: LedgerEntry) -> None:
    """Delete an entry as somebody does who has taken the database's own guard away."""
    PayoutItem.objects.filter(entry=row).delete()
    immutability.LEDGER.remove(connection)
    QuerySet(LedgerEntry).filter(pk=row.pk)._raw_delete("default")
    immutability.LEDGER.install(connection)


# --- the damages: each returns what the check has to name -----------------------------------------


def pending_invented(books: Books) -> object:
    Balance.objects.update(pending=F("pending") + 1)
    return books.balance.pk


def payable_lost(books: Books) -> object:
    Balance.objects.update(payable=F("payable") - 1)
    return books.balance.pk


def paid_forgotten(books: Books) -> object:
    Balance.objects.update(paid=0)
    return books.balance.pk


def hold_forgotten(books: Books) -> object:
    Balance.objects.update(held=0)
    return books.balance.pk


def pending_called_payable(books: Books) -> object:
    """The sum is right, and what is in which half is not."""
    Balance.objects.update(pending=F("payable"), payable=F("pending"))
    return books.balance.pk


def balance_gone(books: Books) -> object:
    Balance.objects.all().delete()
    return books.affiliate.pk


def entry_without_its_balance(books: Books) -> object:
    entry(books, 1)
    return books.balance.pk


def entry_taken_out(books: Books) -> object:
    take_out(LedgerEntry.objects.get(kind=LedgerEntry.COMMISSION, enrollment_id=books.sale.pk))
    return books.balance.pk


def commission_booked_twice(books: Books) -> object:
    entry(books, 4990, LedgerEntry.COMMISSION, enrollment_id=books.sale.pk)
    entry(books, -4990, LedgerEntry.REVERSAL, enrollment_id=books.sale.pk)
    return books.commission(books.sale).pk


def reversed_too_often(books: Books) -> object:
    entry(books, -1, LedgerEntry.REVERSAL, enrollment_id=books.over.pk)
    return books.commission(books.over).pk


def reversal_taken_out(books: Books) -> object:
    take_out(LedgerEntry.objects.get(kind=LedgerEntry.REVERSAL, enrollment_id=books.partly.pk))
    return books.commission(books.partly).pk


def more_reversed_than_earned(books: Books) -> object:
    Commission.objects.filter(enrollment_id=books.sale.pk).update(reversed=4991)
    entry(books, -4991, LedgerEntry.REVERSAL, enrollment_id=books.sale.pk)
    return books.commission(books.sale).pk


def commission_gone(books: Books) -> object:
    Commission.objects.filter(enrollment_id=books.sale.pk).delete()
    return books.sale.pk


def sale_without_commission(books: Books) -> object:
    enrollment, payment = make_pending()
    deliver(Client(), completed(payment))
    credited = {
        "affiliate_id": books.affiliate.pk,
        "commission_base": 49900,
        "commission_rate": 1000,
    }
    Enrollment.objects.filter(pk=enrollment.pk).update(**credited)
    return enrollment.pk


def commission_of_nobodys_sale(books: Books) -> object:
    Enrollment.objects.filter(pk=books.sale.pk).update(affiliate_id=None)
    return books.sale.pk


def commission_of_another_base(books: Books) -> object:
    Enrollment.objects.filter(pk=books.sale.pk).update(commission_base=24950)
    return books.sale.pk


def commission_of_another_affiliate(books: Books) -> object:
    Enrollment.objects.filter(pk=books.sale.pk).update(affiliate_id=make_affiliate().pk)
    return books.sale.pk


def refund_not_reversed(books: Books) -> object:
    Refund.objects.filter(payment=books.payment(books.partly)).update(amount=20000)
    return books.partly.pk


def reversal_without_refund(books: Books) -> object:
    Refund.objects.filter(payment=books.payment(books.partly)).update(status="failed")
    return books.partly.pk


def dispute_not_held(books: Books) -> object:
    Dispute.objects.filter(payment=books.payment(books.disputed)).update(status="won")
    return books.disputed.pk


def withdrawal_not_held(books: Books) -> object:
    won = {"status": "won", "is_withdrawn": True}
    Dispute.objects.filter(payment=books.payment(books.disputed)).update(**won)
    Commission.objects.filter(enrollment_id=books.disputed.pk).update(is_disputed=False)
    return books.disputed.pk


def warning_not_held(books: Books) -> object:
    EarlyFraudWarning.objects.create(
        payment=books.payment(books.sale), is_actionable=True, warned_at=timezone.now()
    )
    return books.sale.pk


def sale_that_nobody_paid(books: Books) -> object:
    Payment.objects.filter(enrollment=books.sale).update(review_reason="duplicate")
    return books.sale.pk


def payout_of_another_amount(books: Books) -> object:
    Payout.objects.update(amount=F("amount") + 1)
    return books.payout.pk


def draft_and_its_item_raised(books: Books) -> object:
    """More would go out at its release than its entry says."""
    sell(Client(), books.affiliate)
    batch = payout_drafts.draft(Run("usd", Affiliate.BANK, tomorrow()), by=make_staff())
    payout = Payout.objects.get(batch=batch)
    PayoutItem.objects.filter(payout=payout).update(amount=F("amount") + 1)
    Payout.objects.filter(pk=payout.pk).update(amount=F("amount") + 1)
    return payout.pk


def payout_item_freed(books: Books) -> object:
    PayoutItem.objects.filter(pk=PayoutItem.objects.order_by("pk")[0].pk).update(is_live=False)
    return books.payout.pk


def payout_not_booked(books: Books) -> object:
    take_out(LedgerEntry.objects.get(kind=LedgerEntry.PAYOUT))
    return books.payout.pk


def payout_booked_twice(books: Books) -> object:
    entry(books, -1, LedgerEntry.PAYOUT, payout_id=books.payout.pk)
    return books.payout.pk


def payout_gone(books: Books) -> object:
    payout = books.payout
    PayoutItem.objects.filter(payout=payout).delete()
    Payout.objects.filter(pk=payout.pk).delete()
    return payout.pk


def cancelled_and_still_booked(books: Books) -> object:
    PayoutItem.objects.update(is_live=False)
    Payout.objects.update(status="cancelled")
    return books.payout.pk


def draft_and_booked(books: Books) -> object:
    Payout.objects.update(status="draft")
    return books.payout.pk


def released_by_whom_it_pays(books: Books) -> object:
    PayoutBatch.objects.update(released_by=books.affiliate.user)
    return books.payout.pk


def hold_of_what_was_paid_out(books: Books) -> object:
    Balance.objects.update(held=F("held") + 4990)
    return books.balance.pk


def too_much_committed(books: Books) -> object:
    Payment.objects.filter(enrollment=books.sale).update(refund_committed=1)
    return books.payment(books.sale).pk


def too_little_committed(books: Books) -> object:
    Payment.objects.filter(enrollment=books.partly).update(refund_committed=9999)
    return books.payment(books.partly).pk


def refund_gone(books: Books) -> object:
    Refund.objects.filter(payment=books.payment(books.over)).delete()
    return books.payment(books.over).pk


def more_refunded_than_received(books: Books) -> object:
    Refund.objects.filter(payment=books.payment(books.over)).update(amount=49901)
    Payment.objects.filter(enrollment=books.over).update(refund_committed=49901)
    return books.payment(books.over).pk


def failed_refund_still_committed(books: Books) -> object:
    Refund.objects.filter(payment=books.payment(books.partly)).update(status="failed")
    return books.payment(books.partly).pk


def over_without_a_refund(books: Books) -> object:
    Enrollment.objects.filter(pk=books.sale.pk).update(status="refunded")
    return books.sale.pk


def over_by_a_part(books: Books) -> object:
    Enrollment.objects.filter(pk=books.partly.pk).update(status="refunded")
    return books.partly.pk


def refunded_and_not_over(books: Books) -> object:
    Enrollment.objects.filter(pk=books.over.pk).update(status="paid")
    return books.over.pk


def lost_and_not_over(books: Books) -> object:
    Dispute.objects.filter(payment=books.payment(books.disputed)).update(status="lost")
    return books.disputed.pk


def access_that_no_job_takes_away(books: Books) -> object:
    Enrollment.objects.filter(pk=books.over.pk).update(lms_status="success")
    SyncJob.objects.filter(action=SyncJob.REVOKE).delete()
    return books.over.pk


DAMAGES: dict[Callable[[], list[str]], list[Callable[[Books], object]]] = {
    check_balances: [
        pending_invented,
        payable_lost,
        paid_forgotten,
        hold_forgotten,
        pending_called_payable,
        balance_gone,
        entry_without_its_balance,
        entry_taken_out,
        hold_of_what_was_paid_out,
    ],
    check_commissions: [
        commission_booked_twice,
        reversed_too_often,
        reversal_taken_out,
        more_reversed_than_earned,
        commission_gone,
    ],
    check_sales_are_credited: [
        sale_without_commission,
        commission_of_nobodys_sale,
        commission_of_another_base,
        commission_of_another_affiliate,
        refund_not_reversed,
        reversal_without_refund,
        dispute_not_held,
        withdrawal_not_held,
        warning_not_held,
        sale_that_nobody_paid,
    ],
    check_payouts: [
        payout_of_another_amount,
        draft_and_its_item_raised,
        payout_item_freed,
        payout_not_booked,
        payout_booked_twice,
        payout_gone,
        cancelled_and_still_booked,
        draft_and_booked,
    ],
    check_two_persons: [released_by_whom_it_pays],
    check_refunds: [
        too_much_committed,
        too_little_committed,
        refund_gone,
        more_refunded_than_received,
        failed_refund_still_committed,
    ],
    check_ended_enrollments: [
        over_without_a_refund,
        over_by_a_part,
        refunded_and_not_over,
        lost_and_not_over,
        access_that_no_job_takes_away,
    ],
}
CASES = [(check, damage) for check, damages in DAMAGES.items() for damage in damages]


@pytest.mark.parametrize(("check", "damage"), CASES, ids=[damage.__name__ for _, damage in CASES])
def test_damage_is_named_by_the_check_that_guards_it(
    books: Books, check: Check, damage: Callable[[Books], object]
):
    assert check() == []
    named = damage(books)
    assert any(str(named) in line for line in check()), check()
    assert check(Scope(since=timezone.now() - timedelta(minutes=10))) == check()
    assert any(line.startswith(check.__name__) for line in invariants.verify())
    assert check in worth_asking()


CHANGES: list[tuple[Any, str]] = [
    (Enrollment, "updated_at"),
    (Payment, "updated_at"),
    (EnrollmentEvent, "created_at"),
    (SyncJob, "created_at"),
    (SyncJob, "finished_at"),
    (Email, "created_at"),
    (Commission, "updated_at"),
    (Refund, "updated_at"),
    (Dispute, "updated_at"),
    (EarlyFraudWarning, "updated_at"),
    (Grant, "updated_at"),
]


def test_a_change_of_whatever_belongs_to_an_enrollment_has_it_looked_at_again(books: Books):
    mails.stage_confirmation(books.disputed)
    SyncJob.objects.update(status="done", finished_at=timezone.now())
    payment, now = books.payment(books.disputed), timezone.now()
    EarlyFraudWarning.objects.create(
        payment=payment, stripe_warning_id="w", is_actionable=True, warned_at=now, reported_at=now
    )
    Grant.objects.filter(pk=make_coupon().pk).update(enrollment_id=books.sale.pk)
    since = timezone.now() + timedelta(hours=1)
    everybody = {books.sale.pk, books.partly.pk, books.over.pk, books.disputed.pk}
    for model, field in CHANGES:
        assert Scope(since=since).enrollments == frozenset()
        before = dict(model.objects.values_list("pk", field))
        model.objects.update(**{field: since})
        changed = Scope(since=since).enrollments
        assert changed, (model, field)
        assert changed <= everybody
        for pk, at in before.items():
            model.objects.filter(pk=pk).update(**{field: at})
    entry(books, 1, enrollment_id=books.sale.pk, created_at=since)
    assert Scope(since=since).enrollments == {books.sale.pk}


@pytest.mark.any_engine
def test_every_check_is_shown_to_have_teeth():
    about_money = tuple(
        f"operations.invariants.{name}" for name in ("ledger", "payouts", "reversals")
    )
    assert set(DAMAGES) == {check for check in invariants.CHECKS if check.__module__ in about_money}


@contextmanager
def without_constraint(model: Any, name: str) -> Iterator[None]:
    """Drop a constraint; the database is emptied before it is restored."""
    constraint = next(
        constraint for constraint in model._meta.constraints if constraint.name == name
    )
    if connection.vendor == "sqlite" and isinstance(constraint, CheckConstraint):
        with _unchecked():
            yield
        return
    with connection.schema_editor() as editor:
        editor.remove_constraint(model, constraint)
    try:
        yield
    finally:
        empty_database()
        with connection.schema_editor() as editor:
            editor.add_constraint(model, constraint)


@contextmanager
def _unchecked() -> Iterator[None]:
    """SQLite makes a table anew without the constraint only for a model that has none."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        yield
        cursor.execute("PRAGMA ignore_check_constraints = OFF")


def test_a_batch_released_by_who_drafted_it_is_named(books: Books):
    with without_constraint(PayoutBatch, "released_by_another_person"):
        PayoutBatch.objects.update(released_by=F("drafted_by"))
        assert check_two_persons() == [
            f"payout batch {books.batch.pk} was drafted and released by one person"
        ]


def test_an_entry_in_two_live_payouts_is_named(books: Books):
    with without_constraint(PayoutItem, "one_live_payout_per_entry"):
        item = PayoutItem.objects.order_by("pk")[0]
        PayoutItem.objects.create(
            payout=books.payout, entry_id=item.entry_id, affiliate_id=item.affiliate_id, amount=0
        )
        assert f"entry {item.entry_id} is in 2 live payouts" in check_payouts()


@pytest.mark.any_engine
def test_what_was_earned_under_a_cap_is_right_when_the_cap_is_lifted_and_the_other_way_round(
    client: Client, settings: Any
):
    settings.COMMISSION_CAP = "amount_paid"
    affiliate = make_affiliate()
    fields = {"amount": 2495, "discount_percent": 95, "kind": Enrollment.KIND_PARTIAL_GRANT}
    sell(client, affiliate, **fields)
    settings.COMMISSION_CAP = "none"
    sell(client, affiliate, **fields)
    assert sorted(Commission.objects.values_list("amount", flat=True)) == [2495, 4990]
    assert invariants.verify() == []
    settings.COMMISSION_CAP = "amount_paid"
    assert invariants.verify() == []


# --- no alarm about what is booked meanwhile ------------------------------------------------------
SALES_MEANWHILE = 12
READS = [
    "affiliates_balance",
    "affiliates_ledgerentry",
    "affiliates_commission",
    "affiliates_payout",
    "payments_refund",
    "payments_payment",
]


def live_on(books: Books) -> None:
    """Have everything happen that moves money: a sale, one of somebody new, a refund, a dispute, a
    payout and its return.
    """
    client = Client()
    _, payment = sell(client, books.affiliate)
    sell(client, make_affiliate())
    deliver(client, refunded(refund_of(payment, 10000)))
    deliver(client, disputed(dispute_of(payment)))
    deliver(client, disputed(dispute_of(payment, "won"), "charge.dispute.closed"))
    sell(client, books.affiliate)
    batch = payout_drafts.draft(Run("usd", Affiliate.BANK, tomorrow()), by=make_staff())
    payouts.release(batch, by=make_staff())
    payouts.cancel(batch.payouts.first(), by=make_staff(), reason="Sent back")


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize("check", DAMAGES, ids=lambda check: check.__name__)
def test_what_is_booked_between_two_reads_of_a_check_is_no_contradiction(
    books: Books, check: Callable[[], list[str]]
):
    """A rival runs before one read of the check, once for each table; those that never read a table
    have nothing to fear from it.
    """
    results: list[Any] = []
    for table in READS:
        with rival_before(f'SELECT "{table}".', lambda: live_on(books)) as lived:
            assert check() == [], table
        results += lived
    assert set(results) == {None}
    assert invariants.verify() == []


def test_sales_while_the_books_are_checked_raise_no_alarm(books: Books):
    def step(number: int) -> list[str]:
        if number:
            for _ in range(SALES_MEANWHILE):
                sell(Client(), books.affiliate)
            return []
        return [line for _ in range(SALES_MEANWHILE) for line in check_balances()]

    assert race(step, threads=2) == [[], []]


def test_a_damage_is_named_while_the_shop_goes_on(books: Books):
    pending_invented(books)
    results = race(
        lambda number: sell(Client(), make_affiliate()) if number else check_balances(),
        threads=2,
    )
    assert [str(books.balance.pk) in line for line in results[0]] == [True]

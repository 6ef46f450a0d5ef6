"""The last step of the final run: what the old shop owed its affiliates enters the ledger.

Each cause is booked once, under its own key; a later final run books only the difference. Ledger
entries cannot be deleted, so nothing after this can be undone.
"""

from collections.abc import Callable, Iterable

from django.conf import settings
from django.db.models import Model
from django.utils import timezone

from affiliates import ledger
from affiliates.attribution import CREDITED
from affiliates.models import Affiliate, Commission, LedgerEntry
from enrollments.models import SOLD, Enrollment
from legacy.commissions import OVERPAID, Accounts, Due
from legacy.facts import IMPORTED, Fact, PartnerFact
from legacy.judged import Judged
from legacy.models import ImportedRow, ImportProposal, ImportRun
from legacy.targets import ACTOR, CURRENCY, sale_id
from legacy.values import key_of
from legacy.vocabulary import AFFILIATES, SALES
from maaledu.db import atomic

PAID_BEFORE = "Paid by the old platform"


def book(
    judged: Judged, accounts: Accounts, run: ImportRun, *, step: Callable[[str, int], None]
) -> None:
    """Book commissions, then what was paid out before, then write down the proposals."""
    partners = Affiliate.objects.filter(email__in=sorted(judged.partners))
    by_email = {partner.email: partner for partner in partners}
    known = _booked_before(due.sale.key for due in accounts.booked)
    for number, due in enumerate(accounts.booked, start=1):
        if due.sale.key not in known and due.sale.partner in by_email:
            _book_commission(due, by_email[due.sale.partner], run)
        step("commissions, booked", number)
    for email, paid in sorted(accounts.paid.items()):
        if email in by_email:
            _book_paid(by_email[email], judged.partners[email], paid, run)
    _propose(accounts, by_email)


def _booked_before(keys: Iterable[str]) -> set[str]:
    wanted, found = sorted(keys), set()
    for start in range(0, len(wanted), 500):
        rows = ImportedRow.objects.filter(
            role=ImportedRow.COMMISSION,
            collection=SALES,
            source_id__in=wanted[start : start + 500],
        )
        found |= set(rows.values_list("source_id", flat=True))
    return found


@atomic
def _book_commission(due: Due, affiliate: Affiliate, run: ImportRun) -> None:
    """Book one commission as it was stored, and name whom the sale is credited to."""
    enrollment = Enrollment.objects.filter(pk=sale_id(due.sale.key), status__in=SOLD).first()
    if enrollment is None:
        return
    Enrollment.objects.filter(pk=enrollment.pk).update(
        affiliate_id=affiliate.pk,
        referral_code=affiliate.code,
        referral_outcome=CREDITED,
        commission_base=due.base,
        commission_rate=due.sale.rate,
        updated_at=timezone.now(),
    )
    commission = _commission(due, affiliate, enrollment)
    commission.save(force_insert=True)
    ledger.write(_entry(commission))
    _note(due.sale, ImportedRow.COMMISSION, commission, run, amount=due.booked)


def _commission(due: Due, affiliate: Affiliate, enrollment: Enrollment) -> Commission:
    at = due.sale.processed_at or due.sale.paid_at or due.sale.created
    return Commission(
        pk=key_of(SALES, due.sale.key, "commission"),
        enrollment_id=enrollment.pk,
        affiliate_id=affiliate.pk,
        course_slug=enrollment.course_slug,
        course_title=enrollment.course_title,
        base=due.base,
        rate_basis_points=due.sale.rate,
        amount=due.booked,
        currency=CURRENCY,
        available_at=ledger.available_from(at, settings.COMMISSION_HOLD),
        created_at=at,
    )


def _entry(commission: Commission) -> LedgerEntry:
    return LedgerEntry(
        kind=LedgerEntry.COMMISSION,
        affiliate_id=commission.affiliate_id,
        enrollment_id=commission.enrollment_id,
        base=commission.base,
        rate_basis_points=commission.rate_basis_points,
        amount=commission.amount,
        currency=commission.currency,
        available_at=commission.available_at,
        created_at=commission.created_at,
        source_key=f"commission:{commission.enrollment_id}",
        created_by=ACTOR,
        note=commission.course_title,
    )


def _note(fact: Fact, role: str, target: Model, run: ImportRun, *, amount: int) -> None:
    """Write down what was booked for an old row: it is asked here whether it was."""
    ImportedRow(
        collection=fact.collection,
        source_id=fact.key,
        role=role,
        outcome=IMPORTED,
        target=target._meta.label,
        target_id=target.pk,
        amount=amount,
        source_hash=fact.digest,
        run=run,
    ).save(force_insert=True)


@atomic
def _book_paid(affiliate: Affiliate, fact: PartnerFact, paid: int, run: ImportRun) -> None:
    """Book what the old platform had paid out, less what is booked of it already.

    As an adjustment: a payout without a payout of ours would stop all later ones.
    """
    ledger.ensure_balance(affiliate.pk, CURRENCY)
    ledger.lock_row(affiliate.pk, CURRENCY)
    rows = ImportedRow.objects.filter(collection=AFFILIATES, source_id=fact.key)
    before = list(rows.exclude(role=ImportedRow.ROW).values_list("amount", flat=True))
    difference = paid - sum(each or 0 for each in before)
    if not difference:
        return
    number = len(before) + 1
    balance = ledger.ensure_balance(affiliate.pk, CURRENCY)
    entry = LedgerEntry(
        affiliate_id=affiliate.pk,
        kind=LedgerEntry.ADJUSTMENT,
        amount=-difference,
        currency=CURRENCY,
        source_key=f"legacy-paid:{fact.key}:{number}",
        available_at=balance.matured_through,
        created_by=ACTOR,
        note=PAID_BEFORE,
    )
    ledger.write(entry)
    role = f"{ImportedRow.PAID_BEFORE}:{number}"
    _note(fact, role, entry, run, amount=difference)


# --- proposals ------------------------------------------------------------------------------------
def _propose(accounts: Accounts, by_email: dict[str, Affiliate]) -> None:
    wanted = [
        ImportProposal(
            kind=due.problem,
            key=f"{SALES}:{due.sale.key}",
            affiliate=by_email.get(due.sale.partner),
            named=due.sale.partner,
            enrollment_id=sale_id(due.sale.key),
            booked=due.booked,
            difference=due.difference,
            currency=CURRENCY,
        )
        for due in accounts.proposed
    ]
    wanted += [
        ImportProposal(
            kind=OVERPAID,
            key=f"{AFFILIATES}:{by_email[email].pk}",
            affiliate=by_email[email],
            named=email,
            booked=accounts.balance(email),
            difference=-accounts.balance(email),
            currency=CURRENCY,
        )
        for email in accounts.overpaid
        if email in by_email
    ]
    known = set(ImportProposal.objects.values_list("key", flat=True))
    ImportProposal.objects.bulk_create([each for each in wanted if each.key not in known])

"""Which entries a figure is the sum of, and everything about one entry.

Each list is in the order of an index, so a page costs the same however many entries there are.
"""

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from affiliates import holds
from affiliates.errors import EntryNotFound
from affiliates.models import Balance, Commission, LedgerEntry, Payout, PayoutItem
from affiliates.pages.arithmetic import Arithmetic
from affiliates.pages.figures import Account
from maaledu.money import Money
from maaledu.paging import NEWEST_FIRST, Page, paginate

LATEST_PAYABLE_FIRST = ("-available_at", "-id")
ENTRIES_OF_A_SALE = 100
EARNED, PENDING, PAYABLE, PAID, HELD = "earned", "pending", "payable", "paid", "held"
# Each figure is the attribute of this name of a balance.
NAMES = {
    EARNED: _("Total earned"),
    PENDING: _("Pending"),
    PAYABLE: _("Payable"),
    PAID: _("Paid"),
    HELD: _("On hold"),
}


# --- figures --------------------------------------------------------------------------------------
def balance_of(account: Account, figure: str, currency: str) -> Balance:
    """Return the balance with this figure. Raises EntryNotFound for one that no page shows."""
    balance = account.balance(currency)
    if figure not in NAMES or balance is None:
        raise EntryNotFound(figure=figure[:20], currency=currency[:20])
    return balance


def entries_of(balance: Balance, figure: str, *, cursor: str = "") -> Page:
    """Return a page of the entries that add up to a figure of the balance. Raises BadCursor."""
    entries = LedgerEntry.objects.of(balance.affiliate_id, balance.currency)
    order = NEWEST_FIRST if figure == PAID else LATEST_PAYABLE_FIRST
    return paginate(entries.filter(_condition(balance, figure)), cursor=cursor, order=order)


def all_entries(account: Account, *, cursor: str = "") -> Page:
    return paginate(LedgerEntry.objects.filter(affiliate_id=account.affiliate.pk), cursor=cursor)


def _condition(balance: Balance, figure: str) -> Q:
    if figure == PAID:
        return Q(kind__in=LedgerEntry.PAYMENTS)
    if figure == PAYABLE:
        return _payable(balance)
    if figure == HELD:
        return _held(balance)
    earnings = Q(kind__in=LedgerEntry.EARNINGS)
    return earnings & Q(available_at__gt=balance.matured_through) if figure == PENDING else earnings


def _payable(balance: Balance) -> Q:
    matured = Q(available_at__lte=balance.matured_through) | Q(kind__in=LedgerEntry.PAYMENTS)
    # Nothing payable is later than this: a payout is available from the moment it was booked. It
    # bounds the scan of the index, which the alternatives of `matured` do not.
    so_far = max(balance.matured_through, timezone.now())
    return Q(available_at__lte=so_far) & matured


def _held(balance: Balance) -> Q:
    on_hold = list(holds.parts(balance.affiliate_id, balance.currency))
    taken = holds.booked_items(on_hold).values_list("entry_id", flat=True) if on_hold else ()
    return Q(enrollment_id__in=on_hold) & ~Q(pk__in=list(taken))


# --- payouts --------------------------------------------------------------------------------------
def payout_of(account: Account, text: str) -> Payout:
    """Return the affiliate's own payout with this id. Raises EntryNotFound for any other text."""
    try:
        pk = UUID(text)
    except ValueError as error:
        raise EntryNotFound from error
    rows = Payout.objects.filter(pk=pk, affiliate_id=account.affiliate.pk).select_related("batch")
    payout = rows.first()
    if payout is None:
        raise EntryNotFound(payout=str(pk))
    return payout


def entries_of_payout(payout: Payout, *, cursor: str = "") -> Page:
    """Return a page of the entries that a payout pays. Raises BadCursor."""
    items = PayoutItem.objects.filter(payout_id=payout.pk).select_related("entry")
    # By key, which has an index: the items of a payout were all made at one moment.
    page = paginate(items, cursor=cursor, order=("-id",))
    return Page([item.entry for item in page.rows], page.next_cursor, page.has_more)


# --- one entry ------------------------------------------------------------------------------------
def detail_of(account: Account, pk: UUID) -> dict[str, Any]:
    """Return one of the affiliate's own entries, its commission and its payout, for the page.

    `others` are the other entries of its sale, `size` is its amount without a sign. Raises
    EntryNotFound, also for somebody else's.
    """
    entry = LedgerEntry.objects.filter(pk=pk, affiliate_id=account.affiliate.pk).first()
    if entry is None:
        raise EntryNotFound(entry=str(pk))
    commission, others = _commission_of(entry), _others_of_the_sale(entry)
    payout = _payout_with(entry)
    account.mark_pending([entry, *others])
    return {
        "entry": entry,
        "size": Money(abs(entry.amount), entry.currency),
        "arithmetic": Arithmetic.of(entry),
        "commission": commission,
        "others": others,
        "payout": payout,
        "is_on_hold": _is_on_hold(entry, commission, payout),
    }


def _commission_of(entry: LedgerEntry) -> Commission | None:
    if entry.enrollment_id is None:
        return None
    return Commission.objects.filter(enrollment_id=entry.enrollment_id).first()


def _others_of_the_sale(entry: LedgerEntry) -> list[LedgerEntry]:
    if entry.enrollment_id is None:
        return []
    entries = LedgerEntry.objects.filter(enrollment_id=entry.enrollment_id)
    first = entries.order_by("created_at", "id")[:ENTRIES_OF_A_SALE]
    return [other for other in first if other.pk != entry.pk]


def _payout_with(entry: LedgerEntry) -> Payout | None:
    """Return the live payout that pays an earning, or the one that this entry books or cancels."""
    if entry.payout_id is not None:
        return Payout.objects.filter(pk=entry.payout_id).select_related("batch").first()
    items = PayoutItem.objects.filter(entry=entry, is_live=True).select_related("payout__batch")
    item = items.first()
    return item.payout if item else None


def _is_on_hold(entry: LedgerEntry, commission: Commission | None, payout: Payout | None) -> bool:
    is_taken = payout is not None and payout.status in Payout.BOOKED
    may_be = commission is not None and commission.is_held and not is_taken
    return may_be and entry.enrollment_id in holds.parts(entry.affiliate_id, entry.currency)

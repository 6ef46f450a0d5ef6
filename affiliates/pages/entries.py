"""Which entries a figure is made of, and where one entry comes from and goes. Every figure shown
anywhere adds up from these.

The order of each list is that of an index, so that a page costs the same however many entries there
are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from affiliates import holds
from affiliates.errors import EntryNotFound
from affiliates.models import Balance, Commission, LedgerEntry, Payout, PayoutItem
from affiliates.pages import figures
from affiliates.pages.figures import Account
from maaledu.money import format_money
from maaledu.paging import NEWEST_FIRST, Page, paginate

LATEST_PAYABLE_FIRST = ("-available_at", "-id")
ENTRIES_OF_A_SALE = 100
EARNED, PENDING, PAYABLE, PAID, HELD = "earned", "pending", "payable", "paid", "held"
NAMES = {
    EARNED: "Earned in all",
    PENDING: "Pending",
    PAYABLE: "Payable",
    PAID: "Paid",
    HELD: "On hold",
}


# --- figures --------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Figure:
    """One figure of one balance, its amount in minor units."""

    key: str
    balance: Balance

    @property
    def name(self) -> str:
        return NAMES[self.key]

    @property
    def currency(self) -> str:
        return self.balance.currency

    @property
    def amount(self) -> int:
        return (
            figures.earned(self.balance)
            if self.key == EARNED
            else int(getattr(self.balance, self.key))
        )

    @property
    def amount_display(self) -> str:
        return format_money(self.amount, self.currency)

    @property
    def became_payable(self) -> str:
        """Return what has ever become payable: what is payable now, and what was paid out of it."""
        return format_money(self.balance.payable + self.balance.paid, self.currency)


def figure_of(account: Account, key: str, currency: str) -> Figure:
    """Return the figure that this address names. Raises EntryNotFound for one that is not shown
    anywhere.
    """
    balance = account.balance(currency)
    if key not in NAMES or balance is None:
        raise EntryNotFound(figure=key[:20], currency=currency[:20])
    return Figure(key, balance)


def figures_of(balance: Balance) -> dict[str, Figure]:
    return {key: Figure(key, balance) for key in NAMES}


def entries_of(figure: Figure, *, cursor: str = "") -> Page:
    """Return one page of the entries that add up to the figure. Raises BadCursor."""
    balance = figure.balance
    entries = LedgerEntry.objects.of(balance.affiliate_id, balance.currency).filter(
        CONDITIONS[figure.key](balance)
    )
    return paginate(
        entries, cursor=cursor, order=NEWEST_FIRST if figure.key == PAID else LATEST_PAYABLE_FIRST
    )


def all_entries(account: Account, *, cursor: str = "") -> Page:
    return paginate(LedgerEntry.objects.filter(affiliate_id=account.affiliate.pk), cursor=cursor)


def _pending(balance: Balance) -> Q:
    return Q(kind__in=LedgerEntry.EARNINGS, available_at__gt=balance.matured_through)


def _payable(balance: Balance) -> Q:
    """What has matured, and every payout; these carry the moment they were made, so nothing of it
    lies in the future.
    """
    so_far = max(balance.matured_through, timezone.now())
    matured = Q(available_at__lte=balance.matured_through) | Q(kind__in=LedgerEntry.PAYMENTS)
    return Q(available_at__lte=so_far) & matured


def _held(balance: Balance) -> Q:
    on_hold = list(holds.parts(balance.affiliate_id, balance.currency))
    gone = holds.items_booked(on_hold).values_list("entry_id", flat=True) if on_hold else ()
    return Q(enrollment_id__in=on_hold) & ~Q(pk__in=list(gone))


CONDITIONS: dict[str, Callable[[Balance], Q]] = {
    EARNED: lambda _balance: Q(kind__in=LedgerEntry.EARNINGS),
    PENDING: _pending,
    PAYABLE: _payable,
    PAID: lambda _balance: Q(kind__in=LedgerEntry.PAYMENTS),
    HELD: _held,
}


# --- payouts --------------------------------------------------------------------------------------
def payout_of(account: Account, text: str) -> Payout:
    """Return the affiliate's own payout of this id. Raises EntryNotFound, also for somebody
    else's.
    """
    try:
        pk = UUID(text)
    except ValueError as error:
        raise EntryNotFound from error
    payout = (
        Payout.objects.filter(pk=pk, affiliate_id=account.affiliate.pk)
        .select_related("batch")
        .first()
    )
    if payout is None:
        raise EntryNotFound(payout=str(pk))
    return payout


def entries_of_payout(payout: Payout, *, cursor: str = "") -> Page:
    """Return one page of what a payout paid for. Raises BadCursor."""
    items = PayoutItem.objects.filter(payout_id=payout.pk).select_related("entry")
    page = paginate(items, cursor=cursor, order=("-id",))
    return Page([item.entry for item in page.rows], page.next_cursor, page.has_more)


# --- one entry ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Story:
    """An entry with its sale, the other entries of that sale, and the payout it is in or is."""

    entry: LedgerEntry
    commission: Commission | None
    others: list[LedgerEntry]
    payout: Payout | None
    is_on_hold: bool

    @property
    def left(self) -> str:
        """Return what the sale comes to after everything that was taken back."""
        return (
            format_money(self.commission.net, self.commission.currency) if self.commission else ""
        )

    @property
    def commission_display(self) -> str:
        return (
            format_money(self.commission.amount, self.commission.currency)
            if self.commission
            else ""
        )

    @property
    def size_display(self) -> str:
        return format_money(abs(self.entry.amount), self.entry.currency)


def tell(account: Account, pk: UUID) -> Story:
    """Return everything about one of the affiliate's own entries. Raises EntryNotFound, also for
    somebody else's.
    """
    entry = LedgerEntry.objects.filter(pk=pk, affiliate_id=account.affiliate.pk).first()
    if entry is None:
        raise EntryNotFound(entry=str(pk))
    commission, others = _sale_of(entry)
    payout = _payout_with(entry)
    return Story(entry, commission, others, payout, _is_on_hold(entry, commission, payout))


def _is_on_hold(entry: LedgerEntry, commission: Commission | None, payout: Payout | None) -> bool:
    is_gone = payout is not None and payout.status in Payout.BOOKED
    may_be = commission is not None and commission.is_held and not is_gone
    return may_be and entry.enrollment_id in holds.parts(entry.affiliate_id, entry.currency)


def _sale_of(entry: LedgerEntry) -> tuple[Commission | None, list[LedgerEntry]]:
    if entry.enrollment_id is None:
        return None, []
    commission = Commission.objects.filter(enrollment_id=entry.enrollment_id).first()
    entries = LedgerEntry.objects.filter(enrollment_id=entry.enrollment_id).order_by(
        "created_at", "id"
    )
    return commission, [other for other in entries[:ENTRIES_OF_A_SALE] if other.pk != entry.pk]


def _payout_with(entry: LedgerEntry) -> Payout | None:
    """Return the live payout that an earning is in, or the one that this entry books or takes
    back.
    """
    if entry.payout_id is not None:
        return Payout.objects.filter(pk=entry.payout_id).select_related("batch").first()
    item = (
        PayoutItem.objects.filter(entry=entry, is_live=True).select_related("payout__batch").first()
    )
    return item.payout if item else None

"""A run that writes: begun or resumed, carried out, booked where it is final, and closed."""

from collections.abc import Callable

from django.conf import settings
from django.utils import timezone

from courses.models import Course
from legacy.booking import book
from legacy.commissions import accounts_of
from legacy.errors import ImportRefused
from legacy.judged import Judged
from legacy.models import ImportRun
from legacy.reports import Report, report_of
from legacy.running import Order, Result, carry_out

LONGEST_SOURCE = 300


def is_booked() -> bool:
    """Return whether a final run has begun: from then on what is booked stays."""
    return ImportRun.objects.filter(kind=ImportRun.FINAL).exists()


def begin(order: Order, judged: Judged, *, backup_id: str) -> ImportRun:
    """Return the run of this kind that was cut off, or a new one. Raises ImportRefused."""
    kind = ImportRun.FINAL if order.is_final else ImportRun.APPLY
    if kind == ImportRun.APPLY and is_booked():
        raise ImportRefused("A final run was made: bring what is new by another --final.")
    if ImportRun.objects.exclude(undone_at=None).exists():
        raise ImportRefused("An undo was cut off. Finish it first, with --undo.")
    if order.is_final and not backup_id:
        raise ImportRefused(
            "A final run cannot be undone. Make a backup, and name it with --backup-id."
        )
    if not is_booked():
        _refuse_two_shops(judged)
    unfinished = ImportRun.objects.filter(kind=kind, finished_at=None).order_by("started_at")
    run = unfinished.first()
    if run is None:
        run = ImportRun(
            kind=kind,
            source=order.source.name[:LONGEST_SOURCE],
            backup_id=backup_id[:200],
            exported_at=judged.book.exported_at,
        )
        run.save(force_insert=True)
    return run


def _refuse_two_shops(judged: Judged) -> None:
    """Refuse as long as this shop sells what the old one still sells.

    Somebody may buy the same course, or use the same coupon, in both, and no import can join that.
    """
    if settings.CHECKOUT_CLOSED:
        return
    slugs = sorted({course.slug for course in judged.courses.values()})
    sold = Course.objects.on_sale().filter(slug__in=slugs).order_by("slug")[:3]
    names = ", ".join(sold.values_list("slug", flat=True))
    if names:
        raise ImportRefused(
            f"Both shops sell {names}: what they sell cannot be joined. Set CHECKOUT_CLOSED=on"
            " here until the final run is through."
        )


def write(
    order: Order, judged: Judged, *, backup_id: str, step: Callable[[str, int], None]
) -> tuple[ImportRun, Result, Report]:
    """Write everything, and book it where the run is final. Raises ImportRefused."""
    run = begin(order, judged, backup_id=backup_id)
    result = carry_out(order, judged, run)
    report = report_of(judged)
    if order.is_final:
        book(judged, accounts_of(judged), run, step=step)
    rows = ImportRun.objects.filter(pk=run.pk)
    rows.update(
        report_hash=report.hash,
        summary=report.summary,
        finished_at=timezone.now(),
        updated_at=timezone.now(),
    )
    return run, result, report

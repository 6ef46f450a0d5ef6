"""Make what we say agree with what Stripe holds, whichever events were lost.

Stripe is asked, never guessed at, and what differs is mended by the functions that the events call.
One page of at most 100 objects is in memory at a time. After each page the row of its kind says how
far the run has come, and a run that was cut off is gone on with.

Source: contracts/reliability, I16.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from enrollments import rebuilding
from maaledu.errors import AppError
from maaledu.work.items import summary
from payments import comparisons, reversal_comparisons
from payments.comparisons import (
    AGREED,
    MENDED,
    NOT_OURS,
    REBUILT,
    UNMENDED,
    Finding,
    Kind,
    Known,
)
from payments.errors import OUTAGE, StripeRefused, StripeSessionUnknown, StripeUnavailable
from payments.models import Reconciliation

logger = logging.getLogger(__name__)

USUAL = timedelta(days=30)  # as long as Stripe keeps its events
LONGEST = timedelta(days=1000)
CLOCKS_DIFFER_BY = timedelta(hours=1)
MOST_UNANSWERED = 3
# Sales come before what takes them back.
KINDS = (*comparisons.KINDS, *reversal_comparisons.KINDS)


@dataclass
class Run:
    """One kind on its way: what is written down of it, and how many answers in a row are missing.

    A dry run changes nothing, and writes nothing down.
    """

    kind: Kind
    progress: Reconciliation
    is_dry: bool
    unanswered: int = 0

    def save(self) -> None:
        if not self.is_dry:
            self.progress.updated_at = timezone.now()
            self.progress.save()


def reconcile(*, since: timedelta = USUAL, is_dry: bool = False) -> list[Reconciliation]:
    """Compare each kind of object with Stripe, mend what differs, and return what was found.

    A kind that is cut off by an outage or a refusal says so in its `failure`, and stops no other.
    """
    return [_run(kind, timezone.now() - max(since, kind.least_days_back), is_dry) for kind in KINDS]


def _run(kind: Kind, since: datetime, is_dry: bool) -> Reconciliation:  # noqa: FBT001
    progress, resumed = _start(kind, since, is_dry=is_dry)
    run = Run(kind, progress, is_dry)
    try:
        _walk(run)
        if resumed and kind.is_listed_by_stripe:
            _walk_what_is_newer(run, since)
    except (StripeUnavailable, StripeRefused) as error:
        logger.warning("reconciliation cut off", extra={"kind": kind.name, "code": error.code})
        progress.failure = summary(error)[:600]
    else:
        progress.finished_at = timezone.now()
    run.save()
    return progress


def _start(kind: Kind, since: datetime, *, is_dry: bool) -> tuple[Reconciliation, bool]:
    """Return the row to write the run down in, and whether it goes on with one that was cut off."""
    fresh = Reconciliation(kind=kind.name, since=since)
    if is_dry:
        return fresh, False
    # The command and the nightly run may begin at once: both use the one row of the kind.
    known, _ = Reconciliation.objects.get_or_create(kind=kind.name, defaults={"since": since})
    if known.may_resume(timezone.now()):
        known.failure = ""
        return known, True
    fresh.pk, fresh._state.adding = known.pk, False
    fresh.finished_before_at = known.finished_at or known.finished_before_at
    return fresh, False


def _walk(run: Run) -> None:
    """Compare page after page, from where the run stands to the end."""
    while True:
        page = _page(run)
        known = run.kind.known(page.objects)
        for each in page.objects:
            _count(run.progress, each, _compare(run, each, known))
        run.progress.after = page.cursor
        run.save()
        if not page.cursor:
            return


def _walk_what_is_newer(run: Run, since: datetime) -> None:
    """Compare what was made after the run began that was cut off: lists begin with the newest."""
    progress = run.progress
    began = progress.started_at - CLOCKS_DIFFER_BY
    progress.since = began if progress.since <= since else since
    progress.started_at = timezone.now()
    _walk(run)


def _page(run: Run) -> Any:
    try:
        return run.kind.page(run.progress.since, run.progress.after)
    except StripeSessionUnknown:
        # The object to go on from is gone: events are, after 30 days.
        if not run.progress.after:
            raise
        return run.kind.page(run.progress.since, "")


def _compare(run: Run, each: Any, known: Known) -> Finding:
    """Compare one object, and mend it where it differs; an odd one is a finding as well.

    Raises StripeUnavailable, or StripeKeyRefused, when several in a row got no answer.
    """
    try:
        finding = run.kind.compare(each, known)
        if finding.mend and not run.is_dry:
            finding = finding.mend(_actor(run))
    except OUTAGE as error:
        run.unanswered += 1
        if run.unanswered == MOST_UNANSWERED:
            raise
        return Finding(UNMENDED, summary(error))
    except AppError as error:
        return Finding(UNMENDED, summary(error))
    except Exception as error:
        logger.exception("row failed", extra={"row": _name(each), "kind": run.kind.name})
        return Finding(UNMENDED, summary(error))
    run.unanswered = 0
    return finding


def _actor(run: Run) -> str:
    """Return who records what is found; after a rebuild, the first whole run of a kind has its own.

    What the lost rows knew by events is found again then, and nobody is mailed a second time (see
    `enrollments.rebuilding`).
    """
    rebuilt_at, known_at = rebuilding.last_at(), run.progress.finished_before_at
    is_known_before = rebuilt_at and (known_at is None or known_at < rebuilt_at)
    return rebuilding.ACTOR if is_known_before else comparisons.ACTOR


def _count(progress: Reconciliation, each: Any, finding: Finding) -> None:
    if finding.verdict == NOT_OURS:
        return
    progress.looked_at += 1
    if finding.verdict == AGREED:
        progress.agreed += 1
        return
    what = {"kind": progress.kind, "row": _name(each), "verdict": finding.verdict}
    logger.warning("reconciliation found a difference", extra={**what, "detail": finding.detail})
    if finding.verdict in (MENDED, REBUILT):
        progress.mended += 1
    else:
        progress.add_problem(f"{_name(each)}: {finding.detail}")
    if finding.verdict == REBUILT:
        progress.add_rebuilt(f"{_name(each)}: {finding.detail}")


def _name(each: Any) -> str:
    """Return the id that Stripe gave an object, or the kind and key of a row of ours."""
    if isinstance(each, dict):
        return str(each.get("id", ""))
    return f"{each._meta.verbose_name} {each.pk}"

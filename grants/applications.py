"""Applying for a grant, and what staff decide: approve, reject, reissue, revoke, extend.

Each decision, its event and its message are one transaction. A program's budget is committed at
approval by one guarded UPDATE, so that two members of staff together cannot exceed it.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from courses.discounts import MAX_PERCENT, MIN_PERCENT, Price, discounted
from courses.models import Course
from grants import budgets, mails, messages
from grants.codes import new_code
from grants.errors import AlreadyDecided, ApplicationOpen, InvalidDecision
from grants.models import Grant, GrantEvent, Program
from maaledu.db import atomic, duplicate_means, transition
from maaledu.money import Money

SATURDAY = 5


@dataclass(frozen=True)
class Application:
    """What an applicant wrote; `email` in its normal form."""

    name: str
    email: str
    situation: str
    motivation: str


@dataclass(frozen=True)
class Decision:
    """An approval: how much, until when, from which program; `percent` from 10 to 100.

    `note` is sent to the applicant, filled in by `grants.messages`.
    """

    percent: int
    expires_at: datetime
    program: Program | None = None
    note: str = ""


def working_days_after(start: date, days: int) -> date:
    """Return the date `days` working days (Monday to Friday) after `start`."""
    day = start
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < SATURDAY
    return day


def apply(course: Course, application: Application) -> None:
    """File an application; where one is open already, e-mail its applicant the state of that one.

    The caller learns nothing, so that the page cannot reveal whether an address is known.
    """
    try:
        file(course, application)
    except ApplicationOpen:
        known = Grant.objects.open().filter(course=course, email=application.email).first()
        if known:
            kind = mails.RECEIVED if known.status == Grant.PENDING else mails.WAITING
            mails.stage(kind, known, key=f"again:{timezone.now():%Y%m%d}")


def file(course: Course, application: Application) -> Grant:
    """Write an application, with the date by which it is answered, and confirm it by e-mail.

    Raises ApplicationOpen where one is open already.
    """
    now = timezone.now()
    grant = Grant(
        course=course,
        name=application.name,
        email=application.email,
        situation=application.situation,
        motivation=application.motivation,
        consented_at=now,
        answer_due_on=working_days_after(now.date(), settings.GRANT_ANSWER_WORKING_DAYS),
        currency=course.currency,
    )
    with duplicate_means(ApplicationOpen):
        _insert(grant)
    return grant


@atomic
def _insert(grant: Grant) -> None:
    grant.save(force_insert=True)
    GrantEvent.objects.record(grant.pk, "applied", by="applicant")
    mails.stage(mails.RECEIVED, grant)


@atomic
def approve(grant: Grant, decision: Decision, *, by: str) -> Grant:
    """Make an application a coupon paid from the program's budget, and send its code.

    `by` is the e-mail of the member of staff. Raises AlreadyDecided, InvalidDecision,
    BudgetExceeded.
    """
    fresh = Grant.objects.get(pk=grant.pk)
    course = Course.objects.get(pk=fresh.course_id)
    _check(decision, course)
    cost = discounted(course.price, decision.percent, course.currency).discount
    note = messages.filled(
        decision.note,
        fresh,
        course=course.title,
        percent=decision.percent,
        expires_at=decision.expires_at,
    )
    changes: dict[str, Any] = {
        "percent": decision.percent,
        "expires_at": decision.expires_at,
        "program": decision.program,
        "note": note,
        "code": new_code(),
        "code_number": 1,
        "price_at_approval": course.price,
        "currency": course.currency,
        "committed_amount": cost if decision.program else 0,
        "holds_budget": decision.program is not None,
        "decided_by": by,
        "decided_at": timezone.now(),
    }
    # Only from pending: a coupon that is released or reinstated becomes approved as well, and
    # between the read and the UPDATE this grant may have become one.
    if not transition(fresh, Grant.APPROVED, only=Q(status=Grant.PENDING), **changes):
        raise AlreadyDecided
    if decision.program:
        budgets.commit(decision.program, cost)
    GrantEvent.objects.record(fresh.pk, f"approved at {decision.percent} %", by=by, note=note)
    mails.stage(mails.APPROVED, fresh, key="1")
    return fresh


def _check(decision: Decision, course: Course) -> None:
    if not MIN_PERCENT <= decision.percent <= MAX_PERCENT:
        raise InvalidDecision(f"The percentage must be between {MIN_PERCENT} and {MAX_PERCENT}.")
    if decision.expires_at <= timezone.now():
        raise InvalidDecision("The expiry must be in the future.")
    if not course.is_on_sale:
        raise InvalidDecision("The course is not on sale, so nobody could use its coupon.")
    program = decision.program
    if program and not program.is_active:
        raise InvalidDecision("This program is closed.")
    # The course's of now, in which the budget is charged: that of the application may be another.
    if program and program.currency != course.currency:
        raise InvalidDecision("The program's currency is not the course's.")


@atomic
def reject(grant: Grant, *, by: str, reason: str, note: str = "") -> Grant:
    """Decline an application, and send the reason with the note (filled in by `grants.messages`).

    Raises AlreadyDecided, and InvalidDecision for a reason that is not on the list.
    """
    if reason not in dict(Grant.REASONS):
        raise InvalidDecision("Choose a reason from the list.")
    fresh = Grant.objects.select_related("course").get(pk=grant.pk)
    note = messages.filled(note, fresh, course=fresh.course.title)
    changes: dict[str, Any] = {
        "reject_reason": reason,
        "note": note,
        "decided_by": by,
        "decided_at": timezone.now(),
    }
    if not transition(fresh, Grant.REJECTED, **changes):
        raise AlreadyDecided
    GrantEvent.objects.record(fresh.pk, f"rejected: {reason}", by=by, note=note)
    mails.stage(mails.REJECTED, fresh)
    return fresh


@atomic
def withdraw(grant: Grant) -> Grant:
    """End an application that is not decided yet, for its applicant, and confirm it by e-mail.

    What they wrote about themselves is deleted with it. Raises AlreadyDecided.
    """
    fresh = Grant.objects.get(pk=grant.pk)
    if not transition(fresh, Grant.WITHDRAWN, situation="", motivation=""):
        raise AlreadyDecided
    GrantEvent.objects.record(fresh.pk, "withdrawn", by="applicant")
    mails.stage(mails.WITHDRAWN, fresh)
    return fresh


@atomic
def reissue(grant: Grant, *, by: str) -> Grant:
    """Replace the code of an unused coupon, and send the new one; the old one ends at once.

    Raises AlreadyDecided, InvalidDecision.
    """
    fresh = Grant.objects.select_related("course").get(pk=grant.pk)
    if not fresh.course.is_on_sale:
        raise InvalidDecision("The course is not on sale, so nobody could use its coupon.")
    # Only with the code just read: of two clicks one would send a code that the other has ended.
    unused = Grant.objects.filter(pk=fresh.pk, status=Grant.APPROVED, code_number=fresh.code_number)
    changes = {
        "code": new_code(),
        "code_number": fresh.code_number + 1,
        "updated_at": timezone.now(),
    }
    if unused.update(**changes) != 1:
        raise AlreadyDecided("Only an unused coupon can be reissued.")
    GrantEvent.objects.record(fresh.pk, "reissued", by=by)
    fresh.refresh_from_db()
    mails.stage(mails.APPROVED, fresh, key=str(fresh.code_number))
    return fresh


@atomic
def revoke(grant: Grant, *, by: str, note: str = "") -> Grant:
    """End an unused coupon and release its share of the budget. Raises AlreadyDecided."""
    fresh = Grant.objects.get(pk=grant.pk)
    # Read before the move clears it from the row.
    share = budgets.share_of(fresh)
    if not transition(fresh, Grant.REVOKED, **budgets.NOTHING_HELD):
        raise AlreadyDecided("Only an unused coupon can be revoked.")
    budgets.release(share)
    GrantEvent.objects.record(fresh.pk, "revoked", by=by, note=note)
    return fresh


@atomic
def extend(grant: Grant, *, by: str, until: datetime) -> Grant:
    """Move the expiry of an unused coupon. Raises AlreadyDecided, InvalidDecision."""
    if until <= timezone.now():
        raise InvalidDecision("The expiry must be in the future.")
    unused = Grant.objects.filter(pk=grant.pk, status=Grant.APPROVED)
    if unused.update(expires_at=until, updated_at=timezone.now()) != 1:
        raise AlreadyDecided("Only an unused coupon can be extended.")
    fresh = Grant.objects.get(pk=grant.pk)
    GrantEvent.objects.record(fresh.pk, f"extended to {until:%Y-%m-%d}", by=by)
    return fresh


@atomic
def readdress(grant_id: UUID, before: str, *, to: str, by: str) -> bool:
    """Have a used grant follow its enrollment to another address; return whether this call did.

    Otherwise a coupon that is reinstated later would be good for the old address.
    """
    used = Grant.objects.filter(pk=grant_id, email=before, status=Grant.REDEEMED)
    if used.update(email=to, updated_at=timezone.now()) != 1:
        return False
    GrantEvent.objects.record(grant_id, "moved to another address", by=by)
    return True


def warnings_about(price: Price, percent: int, *, commission: int) -> list[str]:
    """Return what staff should know before they approve.

    That is a price that becomes free, and a commission above what is paid. `commission` is the most
    that a sale at this price may owe an affiliate, in minor units.
    """
    found = []
    if price.is_free and percent < MAX_PERCENT:
        found.append("What is left to pay is under Stripe's minimum: the enrollment will be free.")
    if commission > price.to_pay:
        loss = Money(commission - price.to_pay, price.currency)
        found.append(f"An affiliate's commission would exceed what is paid by {loss}.")
    return found

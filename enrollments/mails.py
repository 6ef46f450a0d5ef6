"""The e-mails about an enrollment: access is there, or access has ended. Each is sent once."""

from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from enrollments import rebuilding
from enrollments.errors import MailOnItsWay
from enrollments.models import Enrollment
from enrollments.sign_in import sign_in_words
from maaledu.language import in_shop_language, long_day
from maaledu.money import Money
from maaledu.work.items import DEAD, DONE, PENDING, replay
from notifications import outgoing
from notifications.models import Email

PURCHASE_CONFIRMATION = "purchase_confirmation"
GRANT_CONFIRMATION = "grant_course_enrollment"
PARTIAL_GRANT_CONFIRMATION = "partial_grant_enrollment"
CONFIRMATIONS = {
    Enrollment.KIND_GRANT: GRANT_CONFIRMATION,
    Enrollment.KIND_PARTIAL_GRANT: PARTIAL_GRANT_CONFIRMATION,
}
CONFIRMATION_KINDS = [PURCHASE_CONFIRMATION, *CONFIRMATIONS.values()]
ENROLLMENT_ENDED = "enrollment_ended"
PAYMENT_RECEIVED = "payment_received"
ACCOUNT_NEEDED = "account_needed"
ENROLLMENT_MOVED = "enrollment_moved"
ENROLLMENT_WITHDRAWN = "enrollment_withdrawn"


def stage_confirmation(enrollment: Enrollment, *, is_first: bool = False) -> bool:
    """Put the one confirmation of this enrollment into the outbox, once access exists.

    Returns whether this call did. `is_first`: access was never given before.
    """
    # One key for all three kinds: no enrollment is confirmed twice, whatever its kind.
    key = f"{PURCHASE_CONFIRMATION}:{enrollment.pk}"
    if is_first:
        return outgoing.stage_first(**_confirmation(enrollment, key))
    if outgoing.stage(**_confirmation(enrollment, key)):
        return True
    # Unless it was moved: whoever has it now was told nothing yet. Or what they were told last is
    # that it was taken away.
    elsewhere = Q(dedupe_key=key) & ~Q(to=enrollment.email)
    withdrawn = Q(dedupe_key=withdrawn_key(enrollment, enrollment.access_generation - 1))
    later = f"{key}:{enrollment.access_generation}"
    told = Email.objects.filter(elsewhere | withdrawn)
    return told.exists() and outgoing.stage(**_confirmation(enrollment, later))


def _confirmation(enrollment: Enrollment, key: str) -> dict[str, Any]:
    return {
        "kind": CONFIRMATIONS.get(enrollment.kind, PURCHASE_CONFIRMATION),
        "to": enrollment.email,
        "request_id": enrollment.request_id,
        "dedupe_key": key,
        "context": confirmation_context(enrollment),
    }


@in_shop_language
def confirmation_context(enrollment: Enrollment) -> dict[str, Any]:
    paid_at = enrollment.paid_at or enrollment.created_at
    saving = Money(enrollment.list_price - enrollment.amount, enrollment.currency)
    return {
        **purchase_context(enrollment),
        "list_price": str(Money(enrollment.list_price, enrollment.currency)),
        "purchased_on": long_day(paid_at),
        "course_link": enrollment.course_link,
        "sign_in": sign_in_words(enrollment),
        "is_free": enrollment.kind in Enrollment.UNPAID_KINDS,
        "saving": str(saving),
        "taken_off": str(Money(-saving.amount, saving.currency)),
        "account_link": f"{enrollment.status_link}sign-in/",
        "percent": enrollment.discount_percent,
    }


def received_key(enrollment: Enrollment) -> str:
    return f"{PAYMENT_RECEIVED}:{enrollment.pk}"


def stage_payment_received(enrollment: Enrollment) -> bool:
    """Stage the one message that the payment is here and access follows; return if this did."""
    return outgoing.stage(
        kind=PAYMENT_RECEIVED,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=received_key(enrollment),
        context=purchase_context(enrollment),
    )


def stage_account_needed(enrollment: Enrollment) -> bool:
    """Stage the message that asks for an account on the platform; return whether this call did.

    One each time access is asked for: after a refund that failed, for instance, once more.
    """
    return outgoing.stage(
        kind=ACCOUNT_NEEDED,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=f"{ACCOUNT_NEEDED}:{enrollment.pk}:{enrollment.access_generation}",
        context={
            **purchase_context(enrollment),
            "email": enrollment.email,
            "register_link": enrollment.register_link,
            "is_free": enrollment.kind in Enrollment.UNPAID_KINDS,
        },
    )


def stage_enrollment_ended(enrollment: Enrollment, *, actor: str) -> bool:
    """Put the one message that the bank took the payment back, so access ends, into the outbox.

    For a lost dispute only: after a refund the message about the refund says it. Returns whether
    this call did: not for one that is rebuilt, which was mailed before.
    """
    return actor != rebuilding.ACTOR and outgoing.stage(
        kind=ENROLLMENT_ENDED,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=f"{ENROLLMENT_ENDED}:{enrollment.pk}",
        context=purchase_context(enrollment),
    )


def withdrawn_key(enrollment: Enrollment, generation: int) -> str:
    return f"{ENROLLMENT_WITHDRAWN}:{enrollment.pk}:{generation}"


def stage_withdrawn(enrollment: Enrollment) -> bool:
    """Tell a learner that staff took the free enrollment away; return whether this call did."""
    return outgoing.stage(
        kind=ENROLLMENT_WITHDRAWN,
        to=enrollment.email,
        request_id=enrollment.request_id,
        dedupe_key=withdrawn_key(enrollment, enrollment.access_generation),
        context=purchase_context(enrollment),
    )


def take_out_withdrawn(enrollment: Enrollment) -> bool:
    """Take the message out that it was taken away, where it was not sent; return if this did."""
    key = withdrawn_key(enrollment, enrollment.access_generation)
    unsent = Email.objects.filter(dedupe_key=key, status__in=[PENDING, DEAD])
    return unsent.delete()[0] > 0


def stage_moved(before: Enrollment, moved: Enrollment) -> bool:
    """Tell the old address that the enrollment is no longer its own; return whether this call did.

    It reads only as much of the new address as its owner recognizes.
    """
    name, _, domain = moved.email.partition("@")
    return outgoing.stage(
        kind=ENROLLMENT_MOVED,
        to=before.email,
        request_id=before.request_id,
        dedupe_key=f"{ENROLLMENT_MOVED}:{before.pk}:{moved.access_generation}",
        context={
            "customer_name": before.name or before.email.split("@")[0],
            "course_title": before.course_title,
            "email": f"{name[:1]}…@{domain}",
        },
    )


def follow(before: Enrollment, moved: Enrollment) -> None:
    """Have what was not sent yet about an enrollment go to the address that it was moved to.

    Call it after the enrollment was changed, in the same transaction: whoever stages a message
    about it from then on reads the new address. A confirmation is taken out, and staged anew once
    the new address has access. Raises MailOnItsWay.
    """
    waiting = Email.objects.filter(to=before.email, sent_at=None).exclude(status=DONE)
    for mail in [each for each in waiting if _is_about(each, before)]:
        rows = Email.objects.filter(pk=mail.pk, status__in=[PENDING, DEAD])
        if mail.kind in CONFIRMATION_KINDS:
            changed = rows.delete()[0]
            Enrollment.objects.filter(pk=moved.pk).update(lms_synced_at=None)
        else:
            context = _with_link(mail.context, before, moved)
            changed = rows.update(to=moved.email, context=context, updated_at=timezone.now())
            replay(mail)  # what was held, or refused, was so because of the old address
        if not changed:
            raise MailOnItsWay


def enrollment_of(mail: Email) -> Enrollment | None:
    """Return the enrollment that a message's key names, as it is now; None where it names none."""
    named = mail.dedupe_key.partition(":")[2].partition(":")[0]
    try:
        return Enrollment.objects.filter(pk=UUID(named)).first()
    except ValueError:
        return None


def _is_about(mail: Email, enrollment: Enrollment) -> bool:
    return str(enrollment.pk) in mail.dedupe_key or enrollment.token in str(mail.context)


def _with_link(context: dict[str, Any], before: Enrollment, moved: Enrollment) -> dict[str, Any]:
    return {
        name: value.replace(before.token, moved.token) if isinstance(value, str) else value
        for name, value in context.items()
    }


@in_shop_language
def purchase_context(enrollment: Enrollment) -> dict[str, Any]:
    """Return what every message says of the purchase, a refund's message included."""
    return {
        "customer_name": enrollment.name or enrollment.email.split("@")[0],
        "course_title": enrollment.course_title,
        "amount": str(Money(enrollment.amount, enrollment.currency)),
        "status_link": enrollment.status_link,
    }

"""What is asked of Stripe and of the LMS about old rows: read only, one row after the other."""

from collections.abc import Iterator

from django.utils import timezone

from enrollments import lms_jobs
from enrollments.models import Enrollment
from legacy.models import ImportedRow
from legacy.targets import ACTOR
from legacy.vocabulary import SALES
from lms_sync.connection import platform_for
from lms_sync.errors import LmsError
from lms_sync.models import DeadLetter
from payments import gateway, ownership, refunds
from payments.errors import StripeRefused, StripeUnavailable
from payments.models import Payment
from payments.old_refunds import stand_ins

BATCH = 200
PAID = "paid"


def _targets(label: str) -> Iterator[list[str]]:
    """Yield the keys of what the import wrote into one table, some at a time."""
    rows = ImportedRow.objects.filter(collection=SALES, role=ImportedRow.ROW).order_by("pk")
    keys: list[str] = []
    for names in rows.values_list("targets", flat=True).iterator(BATCH):
        keys += [key for name, key in names if name == label]
        if len(keys) >= BATCH:
            yield keys
            keys = []
    yield keys


def ask_stripe() -> Iterator[str]:
    """Fill in the ids of payment intents and refunds that the old shop did not keep.

    Yields a line for each. Without an intent a payment cannot be refunded, and Stripe's refunds and
    disputes do not find it; without its id a refund is not known again.
    """
    for keys in _targets("payments.Payment"):
        without = Payment.objects.filter(pk__in=keys, stripe_payment_intent_id="")
        for payment in without.order_by("pk"):
            yield f"payment {payment.pk}: {_ask_about(payment)}"
        refunded = Payment.objects.filter(pk__in=keys, refund_committed__gt=0)
        for payment in refunded.exclude(stripe_payment_intent_id="").order_by("pk"):
            if stand_ins(payment.pk).exists():
                yield f"payment {payment.pk}: {_ask_about_refunds(payment)}"


def _ask_about(payment: Payment) -> str:
    if not payment.stripe_session_id:
        return "no_intent, and no session to ask about"
    try:
        session = gateway.retrieve_session(payment.stripe_session_id)
    except (StripeUnavailable, StripeRefused) as error:
        return f"no_intent, Stripe says {error.code}"
    session, _ = ownership.part_intent(session)
    intent = gateway.text_of(session.get("payment_intent"))
    asked = session.get("payment_status"), session.get("amount_total"), session.get("currency")
    if payment.status == Payment.PAID and asked != (PAID, payment.amount, payment.currency):
        return f"no_intent, Stripe has {asked[1]} {asked[2]} as {asked[0]}"
    if not intent:
        return "no_intent at Stripe either"
    rows = Payment.objects.filter(pk=payment.pk, stripe_payment_intent_id="")
    rows.update(stripe_payment_intent_id=intent, updated_at=timezone.now())
    return f"its intent is {intent}"


def _ask_about_refunds(payment: Payment) -> str:
    """Record Stripe's refunds in the place of the one that the old shop told of."""
    found = []
    try:
        for payload in gateway.refunds_of(payment.stripe_payment_intent_id):
            if refunds.is_recordable(payload):
                refunds.record(payload, actor=ACTOR)
                found.append(payload["id"])
    except (StripeUnavailable, StripeRefused) as error:
        return f"its refund is not known, Stripe says {error.code}"
    return f"its refunds are {', '.join(found)}" if found else "Stripe has no refund of it"


def stuck() -> Iterator[Enrollment]:
    """Yield the enrollments of the import that are paid and still wait for the LMS."""
    for keys in _targets("lms_sync.DeadLetter"):
        letters = DeadLetter.objects.open().filter(pk__in=keys).select_related("job")
        wanted = [letter.job.payload["enrollment_id"] for letter in letters]
        yield from Enrollment.objects.paid().filter(pk__in=wanted).order_by("pk")


def enqueue_stuck(*, by: str) -> int:
    """Give each of them its LMS job, due now; return how many. The job asks before it enrolls."""
    return sum(lms_jobs.retry_now(enrollment, by=by) for enrollment in stuck())


def ask_lms() -> Iterator[str]:
    """Say of each stuck enrollment whether the learner is in the LMS after all."""
    for enrollment in stuck():
        try:
            platform = platform_for(enrollment.lms_platform, is_question=True)
            there = platform.find(enrollment.email, enrollment.lms_course_id)
        except LmsError as error:
            yield f"enrollment {enrollment.pk}: the LMS says {error.code}"
            continue
        words = f"is there as {there[0].enrollment_id}" if there else "is not there"
        yield f"enrollment {enrollment.pk}: {enrollment.email} {words}"

"""The demo's office as on an ordinary day: what waits for staff, and what they have done.

Each case is made as in the shop: by its checkout, by Stripe's events, by decisions of staff, with
the sandbox playing the others. Only what is weeks old is written as rows (`demo.sales`). A case
whose buyer or applicant is known is left alone, so a second run changes nothing.
"""

from collections.abc import Callable
from contextlib import suppress

from allauth.account.models import EmailAddress
from django.utils import timezone

from accounts.models import User
from affiliates import memberships, payout_drafts
from affiliates.attribution import Click
from affiliates.errors import NothingToPay
from affiliates.memberships import Joining
from affiliates.models import Affiliate, PayoutBatch
from affiliates.payout_details import PayoutDetails
from affiliates.payout_drafts import Run
from courses.models import Course
from demo import grant_cases, history
from demo.controls import Sandbox, deliver
from demo.purchases import buy, write_past
from enrollments.models import Enrollment
from payments import learner_refunds, refund_requests
from payments.errors import RefundNotPossible
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund
from payments.orders import Buyer
from payments.refund_requests import Request

LEARNER = "learner@maaledu.example"
ADDRESSES = {"عائشة الفارسي": "aisha@example.com", "Lina Learner": LEARNER}
ENROLL = "POST /api/resource/LMS Enrollment"
LEARNERS_COURSES = {
    "data-analysis-foundations": 60,
    "reading-financial-statements": 100,
    "ux-writing": 0,
}


def fill(sandbox: Sandbox, *, password: str, staff: User, finance: User) -> list[str]:
    """Make what is missing of the cases, and return what there is now, a line for each kind.

    Raises requests.RequestException where the sandbox does not answer.
    """
    courses = [course for course in Course.objects.on_sale() if not course.is_free]
    frappe = [course for course in courses if course.lms_platform == Course.Platform.FRAPPE]
    past = write_past(sandbox, sorted(frappe, key=lambda course: course.slug), by=finance)
    grants = grant_cases.make_all(sandbox, by=staff.email)
    for make in CASES:
        make(sandbox)
    _learner(sandbox, password)
    refuse_a_refund(sandbox, by=finance)
    draft_a_payout(by=staff)
    deliver(sandbox)
    return [f"{past} past purchases", f"{grants} grants", f"{len(CASES)} cases of today"]


def _bought(
    sandbox: Sandbox,
    slug: str,
    name: str,
    *,
    outcome: str = "paid",
    click: Click | None = None,
) -> Enrollment:
    course = Course.objects.get(slug=slug)
    return buy(sandbox, course, Buyer(_address(name), name), outcome=outcome, click=click)


def _address(name: str) -> str:
    return ADDRESSES.get(name, f"{name.lower().replace(' ', '.')}@example.com")


def _is_known(name: str) -> bool:
    """Whether this one has bought: then nothing is broken for them once more."""
    return Enrollment.objects.filter(email=_address(name)).exists()


def _payment(enrollment: Enrollment) -> Payment:
    return Payment.objects.get(enrollment=enrollment, status=Payment.PAID)


# --- purchases of today ---------------------------------------------------------------------------
def buy_and_leave(sandbox: Sandbox) -> None:
    """Some buy, one is at Stripe's page still, and one is declined."""
    _bought(sandbox, "documentary-photography", "Nora Quist")
    _bought(sandbox, "public-procurement-in-practice", "Paolo Ricci")
    _bought(sandbox, "infection-prevention-and-control", "Grace Mensah")
    _bought(sandbox, "islamic-finance-principles-and-contracts", "عائشة الفارسي")
    _bought(sandbox, "operations-management-in-practice", "Ivan Petrov", outcome="")
    _bought(sandbox, "designing-assessments", "Chloe Martin", outcome="declined")
    deliver(sandbox)


def lose_a_mail(sandbox: Sandbox) -> None:
    """The mail server refuses the address of a buyer who mistyped it."""
    if _is_known("Will Smiht"):
        return
    rule = {"target": "smtp", "mode": "reject", "match": "RCPT will.smiht@example.com"}
    sandbox.call("faults", rule)
    _bought(sandbox, "instructional-video-on-a-small-budget", "Will Smiht")
    deliver(sandbox)
    sandbox.call("faults", {"target": "smtp"}, method="DELETE")


def refuse_access(sandbox: Sandbox) -> None:
    """The LMS refuses two enrollments for good, which become dead letters."""
    if _is_known("Victor Hugo Alves"):
        return
    text = "The course is full: no more than 200 members."
    rule = {"target": "lms", "mode": "error", "match": ENROLL, "status": 417, "text": text}
    sandbox.call("faults", rule)
    for name in ("Victor Hugo Alves", "Signe Holm"):
        _bought(sandbox, "classroom-inclusion-and-additional-needs", name)
    deliver(sandbox)
    sandbox.call("faults", {"target": "lms"}, method="DELETE")


# --- what comes back, and what looks odd ----------------------------------------------------------
def dispute_and_warn(sandbox: Sandbox) -> None:
    """A bank disputes one payment, and a card's issuer reports another as fraud."""
    disputed = _bought(sandbox, "machine-learning-in-production", "Dario Conti")
    reported = _bought(sandbox, "brand-identity-design", "Kim Larsson")
    deliver(sandbox)
    payment, other = _payment(disputed), _payment(reported)
    if not Dispute.objects.filter(payment=payment).exists():
        path = f"stripe/charges/{payment.stripe_payment_intent_id}/dispute"
        sandbox.call(path, {"reason": "product_not_received"})
    if not EarlyFraudWarning.objects.filter(payment=other).exists():
        sandbox.call(f"stripe/charges/{other.stripe_payment_intent_id}/warning", {})
    deliver(sandbox)


def ask_for_a_refund(sandbox: Sandbox) -> None:
    """A learner asks for their money back, and staff have not answered."""
    enrollment = _bought(sandbox, "documentary-photography", "Lucia Ferrer")
    deliver(sandbox)
    enrollment.refresh_from_db()
    if learner_refunds.of(enrollment) is None:
        reason = "I had hoped for more about light, and less about rights."
        learner_refunds.ask(enrollment, reason=reason)


def raise_signals(sandbox: Sandbox) -> None:
    """A sale in the affiliate's own browser, and another affiliate who is paid to their account."""
    partner = Affiliate.objects.get(email=history.EMAIL)
    click = Click(partner.code, network_key="demo", partner_code=partner.code)
    _bought(sandbox, "sql-for-everyday-questions", "Bea Marsh", click=click)
    deliver(sandbox)
    name, email = "Corner Bookshop", "corner@maaledu.example"
    user, is_new = User.objects.get_or_create(email=email, defaults={"name": name})
    if is_new:
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        details = PayoutDetails(Affiliate.PAYPAL, name, history.EMAIL)
        memberships.join(user, Joining(name, "GB", details))


CASES: tuple[Callable[[Sandbox], None], ...] = (
    buy_and_leave,
    lose_a_mail,
    refuse_access,
    dispute_and_warn,
    ask_for_a_refund,
    raise_signals,
)


# --- a learner with an account, and what staff have begun -----------------------------------------
def _learner(sandbox: Sandbox, password: str) -> None:
    """Somebody who can sign in: three courses, of which one is done and one is begun."""
    if User.objects.filter(email=LEARNER).exists():
        return
    for slug, percent in LEARNERS_COURSES.items():
        enrollment = _bought(sandbox, slug, "Lina Learner")
        sandbox.set_progress(LEARNER, enrollment.lms_course_id, percent)
    deliver(sandbox)
    user = User.objects.create_user(LEARNER, password, name="Lina Learner")
    EmailAddress.objects.create(user=user, email=LEARNER, verified=True, primary=True)


def refuse_a_refund(sandbox: Sandbox, *, by: User) -> None:
    """Staff ask for two refunds: one is made, and Stripe refuses the other."""
    made = _bought(sandbox, "first-aid-for-workplaces", "Peter Vogel")
    refused = _bought(sandbox, "teaching-adults-online", "Maria Costa")
    deliver(sandbox)
    if not Refund.objects.filter(payment__enrollment=made).exists():
        refund_requests.request(_payment(made), _all_of(made, by))
    if not Refund.objects.filter(payment__enrollment=refused).exists():
        sandbox.call("stripe/refusals", {"reason": "balance_insufficient", "times": 1})
        with suppress(RefundNotPossible):
            refund_requests.request(_payment(refused), _all_of(refused, by))


def _all_of(enrollment: Enrollment, by: User) -> Request:
    reason, who = Refund.REASONS[0][0], by.get_username()
    return Request(enrollment.amount, reason, who, note="Asked for by telephone.")


def draft_a_payout(*, by: User) -> None:
    """One payout waits to be released, unless there was ever a draft."""
    if not PayoutBatch.objects.exclude(status=PayoutBatch.PAID).exists():
        with suppress(NothingToPay):
            run = Run(history.CURRENCY, Affiliate.PAYPAL, timezone.now().date())
            payout_drafts.draft(run, by=by)

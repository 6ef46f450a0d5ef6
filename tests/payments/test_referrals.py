"""A referred purchase from the checkout to the ledger: who is credited with what, and that it never
costs the buyer anything.
"""

import itertools
import json
from typing import Any

import pytest
from django.test import Client

from affiliates import attribution, memberships
from affiliates.models import (
    Affiliate,
    Balance,
    Commission,
    FraudSignal,
    LedgerEntry,
    ReferralDay,
    ReferralVisit,
)
from courses.models import Course
from enrollments import fulfillment
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync.models import SyncJob
from maaledu.work.items import DONE, PENDING, retry_now
from maaledu.work.queue import drain
from office import sales_figures
from payments.models import Payment, StripeEvent
from payments.webhooks import EVENTS
from tests.affiliates.make import make_affiliate, make_referred, make_user
from tests.affiliates.shop import (
    BUYER,
    buy,
    check_out,
    deliver_events,
    fresh,
    is_broken,
    visitor,
    without_tables,
)
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import race
from tests.factories import async_succeeded, completed, deliver, make_course, make_pending, unpaid
from tests.grants.make import HOLDER, make_coupon
from tests.sandbox_client import Sandbox
from tests.statements import statements

pytestmark = pytest.mark.any_engine


def facts(enrollment: Enrollment) -> tuple:
    return (
        enrollment.affiliate_id,
        enrollment.referral_code,
        enrollment.referral_outcome,
        enrollment.commission_base,
        enrollment.commission_rate,
    )


UNCREDITED = (None, "", None, None)


def came_by(affiliate: Affiliate, **headers: str) -> Client:
    client = visitor(**headers)
    assert client.get(f"/r/{affiliate.code}/").status_code == 302
    return client


def post_json(client: Client, **body: Any) -> Any:
    data = {"email": BUYER, "acceptTerms": True, **body}
    return client.post("/api/checkout", data=json.dumps(data), content_type="application/json")


# --- the facts ------------------------------------------------------------------------------------


def test_the_referral_is_kept_on_the_enrollment_and_sent_to_stripe(sandbox: Sandbox):
    """Requirements R040, R076."""
    affiliate, course = make_affiliate(rate=1250), make_course(price=49900)
    assert check_out(came_by(affiliate), course).status_code == 302
    enrollment = Enrollment.objects.get()
    assert facts(enrollment) == (affiliate.pk, affiliate.code, "credited", 49900, 1250)
    assert len(enrollment.network_key) == 64
    assert sandbox.sessions()[0]["metadata"]["referral_code"] == affiliate.code
    assert LedgerEntry.objects.count() == 0, (
        "a commission is made by the payment, not by the checkout (R074)"
    )


def test_without_a_link_nothing_about_one_is_kept_or_sent(sandbox: Sandbox):
    make_affiliate()
    check_out(visitor(), make_course())
    enrollment = Enrollment.objects.get()
    assert (*facts(enrollment), enrollment.network_key) == (None, "", "", None, None, "")
    assert "referral_code" not in sandbox.sessions()[0]["metadata"]


def test_the_payment_says_at_stripe_whose_it_is(sandbox: Sandbox):
    affiliate = make_affiliate()
    buy(sandbox, through=affiliate)
    assert [intent["metadata"]["referral_code"] for intent in sandbox.book("payment_intents")] == [
        affiliate.code
    ]


@pytest.mark.parametrize("end", [memberships.suspend, memberships.close])
def test_an_affiliate_who_ended_between_click_and_checkout_is_not_credited(sandbox: Sandbox, end):
    """Requirement R073."""
    affiliate, course = make_affiliate(), make_course()
    client = came_by(affiliate)
    end(affiliate, by="staff@example.com", reason="Looked into")
    assert b"Referred by" not in client.get(f"/checkout/{course.slug}/").content
    assert check_out(client, course).status_code == 302
    sandbox.pay(Payment.objects.get().stripe_session_id)
    deliver_events(sandbox)
    enrollment = Enrollment.objects.get()
    assert (enrollment.status, facts(enrollment)) == ("paid", (None, "", "inactive", None, None))
    assert (Commission.objects.count(), LedgerEntry.objects.count()) == (0, 0)


def test_an_affiliate_who_ends_between_checkout_and_payment_is_credited(client: Client):
    affiliate = make_affiliate()
    _, payment = make_referred(affiliate)
    memberships.suspend(affiliate, by="staff@example.com", reason="Looked into")
    deliver(client, completed(payment))
    assert balance_of(affiliate)[0] == 4990


OWN = [
    "ada@example.com",
    "Ada+1@Example.com",
    "a.d.a@example.com",
    "second@example.org",
    "sec.ond+x@example.org",
]


@pytest.mark.every_engine
@pytest.mark.parametrize("ask", ["page", "json"])
@pytest.mark.parametrize("email", OWN)
def test_nobody_is_credited_with_a_purchase_of_their_own_and_it_goes_through(
    sandbox: Sandbox, email: str, ask: str
):
    """Requirements R041, R073; by any address of the account, plus and dot aliases."""
    affiliate, course = make_affiliate("ada@example.com"), make_course()
    affiliate.user.emailaddress_set.create(email="second@example.org", verified=True)
    client = came_by(affiliate)
    if ask == "page":
        assert check_out(client, course, email=email).status_code == 302
    else:
        assert (
            post_json(
                Client(), courseId=course.slug, email=email, referralCode=affiliate.code
            ).status_code
            == 201
        )
    sandbox.pay(Payment.objects.get().stripe_session_id)
    deliver_events(sandbox)
    enrollment = Enrollment.objects.get()
    assert (enrollment.status, facts(enrollment)) == ("paid", (None, "", "self", None, None))
    assert (Commission.objects.count(), ReferralDay.objects.exclude(checkouts=0).count()) == (0, 0)


@pytest.mark.parametrize("ask", ["page", "json"])
def test_nobody_is_credited_with_a_purchase_from_their_own_account(sandbox: Sandbox, ask: str):
    affiliate, course = make_affiliate(), make_course()
    client = came_by(affiliate)
    client.force_login(affiliate.user)
    page = client.get(f"/checkout/{course.slug}/").content.decode()
    assert "your own" in page
    assert "Referred by" not in page
    if ask == "page":
        check_out(client, course, email="friend@example.com")
    else:
        client.cookies.pop("ref")
        assert (
            post_json(
                client,
                courseId=course.slug,
                email="friend@example.com",
                referralCode=affiliate.code,
            ).status_code
            == 201
        )
    assert Enrollment.objects.get().referral_outcome == "self"
    assert Enrollment.objects.get().affiliate_id is None


def test_the_buyer_sees_by_whom_they_were_referred(sandbox: Sandbox):
    affiliate, course = make_affiliate(name="Ada's <b>club</b>"), make_course()
    page = came_by(affiliate).get(f"/checkout/{course.slug}/").content.decode()
    assert "Referred by" in page
    assert "Ada&#x27;s &lt;b&gt;club&lt;/b&gt;" in page
    direct = visitor().get(f"/checkout/{course.slug}/?ref={affiliate.code}").content.decode()
    assert "Referred by" in direct
    assert "Referred by" not in visitor().get(f"/checkout/{course.slug}/").content.decode()


def test_a_program_may_name_the_code_and_anything_else_is_ignored(sandbox: Sandbox, settings):
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "checkout": "100/15m"}
    affiliate, other = make_affiliate(), make_affiliate()
    named = {affiliate.code: "credited", affiliate.code.upper(): "credited", "nnnnnnnn": "unknown"}
    ignored = ["", "<script>", "x" * 10_000, 7, None, ["a"], {"$ne": ""}, True, affiliate.email]
    client = visitor()
    for number, (code, outcome) in enumerate([*named.items(), *((code, "") for code in ignored)]):
        email = f"buyer{number}@example.com"
        assert (
            post_json(
                client, courseId=make_course().slug, email=email, referralCode=code
            ).status_code
            == 201
        )
        assert Enrollment.objects.get(email=email).referral_outcome == outcome, code
    assert (
        post_json(
            came_by(other), courseId=make_course().slug, referralCode=affiliate.code
        ).status_code
        == 201
    )
    assert Enrollment.objects.get(email=BUYER).affiliate_id == affiliate.pk
    assert (
        post_json(
            came_by(other),
            courseId=make_course().slug,
            email="b@example.com",
            referralCode="<script>",
        ).status_code
        == 201
    )
    assert Enrollment.objects.get(email="b@example.com").affiliate_id == other.pk


@pytest.mark.every_engine
def test_the_last_click_before_the_payment_is_credited(sandbox: Sandbox):
    """Decisions, "last click": the referral that the page shows is the one that is credited."""
    first, second, course = make_affiliate(), make_affiliate(name="Bob"), make_course()
    client = came_by(first)
    check_out(client, course)
    client.get(f"/?ref={second.code}")
    assert "Referred by <strong>Bob" in client.get(f"/checkout/{course.slug}/").text
    check_out(client, course)
    ended, running = Enrollment.objects.order_by("created_at")
    assert (ended.status, ended.affiliate_id) == ("cancelled", first.pk)
    assert (running.status, running.affiliate_id) == ("pending", second.pk)
    old, new = sorted(sandbox.sessions(), key=lambda session: session["status"], reverse=True)
    assert (old["status"], new["status"]) == ("open", "expired")
    assert old["metadata"]["referral_code"] == second.code
    sandbox.pay(old["id"])
    deliver_events(sandbox)
    assert [entry.affiliate_id for entry in LedgerEntry.objects.all()] == [second.pk]


def test_a_checkout_that_began_without_a_link_is_credited_to_the_click_that_came_after(
    sandbox: Sandbox,
):
    affiliate, course = make_affiliate(), make_course()
    check_out(visitor(), course)
    check_out(came_by(affiliate), course)
    assert [each.affiliate_id for each in Enrollment.objects.filter(status="pending")] == [
        affiliate.pk
    ]


def test_who_comes_back_without_a_link_keeps_the_checkout_and_its_referral(sandbox: Sandbox):
    affiliate, course = make_affiliate(), make_course()
    check_out(came_by(affiliate), course)
    check_out(visitor(), course)
    assert Enrollment.objects.get().affiliate_id == affiliate.pk
    assert len(sandbox.sessions()) == 1


def test_a_checkout_replaced_for_its_price_keeps_the_click_of_before(sandbox: Sandbox):
    affiliate, course = make_affiliate(), make_course(price=49900)
    check_out(came_by(affiliate), course)
    Course.objects.update(price=29900)
    check_out(visitor(), course)
    running = Enrollment.objects.get(status="pending")
    assert (running.affiliate_id, running.commission_base) == (affiliate.pk, 29900)


def test_a_click_on_a_link_of_their_own_credits_nobody_afterwards(sandbox: Sandbox):
    """The page says that it is their own link: the one clicked before earns nothing either."""
    other, own, course = make_affiliate(), make_affiliate(email=BUYER), make_course()
    check_out(came_by(other), course)
    check_out(came_by(own), course)
    running = Enrollment.objects.get(status="pending")
    assert (running.affiliate_id, running.referral_outcome) == (None, "self")


@pytest.mark.parametrize("end", [memberships.suspend], ids=["suspended"])
def test_who_comes_back_when_the_affiliate_has_ended_credits_nobody(sandbox: Sandbox, end):
    affiliate, course = make_affiliate(), make_course()
    client = came_by(affiliate)
    check_out(client, course)
    end(affiliate, by="tests", reason="test")
    assert "Referred by" not in client.get(f"/checkout/{course.slug}/").text
    check_out(client, course)
    assert Enrollment.objects.get(status="pending").affiliate_id is None


def test_the_rate_is_the_one_at_checkout(sandbox: Sandbox):
    affiliate, course = make_affiliate(rate=1000), make_course(price=49900)
    check_out(came_by(affiliate), course)
    memberships.change_rate(affiliate, 5000, by="tests")
    sandbox.pay(Payment.objects.get().stripe_session_id)
    deliver_events(sandbox)
    assert (LedgerEntry.objects.get().amount, LedgerEntry.objects.get().rate_basis_points) == (
        4990,
        1000,
    )


def test_the_lms_is_sent_the_code_where_the_customers_method_takes_it(sandbox: Sandbox, settings):
    """Requirement R040."""
    settings.FRAPPE_DRIVER = "confirm_payment"
    sandbox.lms(server="custom")
    affiliate = make_affiliate()
    enrollment, _ = buy(sandbox, through=affiliate)
    buy(sandbox, email="direct@example.com")
    assert [job.payload["referral_code"] for job in SyncJob.objects.order_by("created_at")] == [
        affiliate.code,
        "",
    ]
    drain(LMS_JOBS)
    calls = sandbox.calls("lms", "POST /api/method/lms.lms.payment_confirmation.confirm_payment")
    sent = {
        body["user_email"]: body.get("referral_code")
        for body in (json.loads(call["body"]) for call in calls)
    }
    assert sent == {enrollment.email: affiliate.code, "direct@example.com": None}
    assert fresh(enrollment).has_access
    sandbox.lms(server="A")


# --- what it earns --------------------------------------------------------------------------------


def buy_with_grant(
    sandbox: Sandbox, affiliate: Affiliate, *, price: int, percent: int
) -> Enrollment:
    course = make_course(price=price)
    grant = make_coupon(course, percent=percent)
    client = came_by(affiliate)
    assert check_out(client, course, email=HOLDER, coupon=grant.code).status_code == 302
    enrollment = Enrollment.objects.get(course=course)
    if enrollment.status == Enrollment.PENDING:
        sandbox.pay(enrollment.payments.get().stripe_session_id)
        deliver_events(sandbox)
    return fresh(enrollment)


WORKED = [(49900, 50, 24950, 4990), (19999, 33, 13399, 2000), (49900, 95, 2495, 4990)]


@pytest.mark.parametrize(("price", "percent", "paid", "earned"), WORKED)
def test_a_commission_is_of_the_price_before_the_discount(
    sandbox: Sandbox, price: int, percent: int, paid: int, earned: int
):
    """Requirements R075, R211, by a payment at Stripe: 499.00 at 50 % earns 49.90, and 199.99 at 33
    % earns 20.00.
    """
    affiliate = make_affiliate()
    enrollment = buy_with_grant(sandbox, affiliate, price=price, percent=percent)
    assert [session["amount_total"] for session in sandbox.sessions()] == [paid]
    assert (enrollment.status, enrollment.amount, enrollment.commission_base) == (
        "paid",
        paid,
        price,
    )
    entry = LedgerEntry.objects.get()
    assert (entry.amount, entry.base, entry.rate_basis_points, entry.currency) == (
        earned,
        price,
        1000,
        "usd",
    )
    assert balance_of(affiliate) == (earned, 0, 0, 0)


@pytest.mark.parametrize(("price", "percent", "earned"), [(49900, 50, 4990), (49900, 95, 2495)])
def test_a_commission_may_be_capped_at_what_was_paid(
    sandbox: Sandbox, settings, price: int, percent: int, earned: int
):
    settings.COMMISSION_CAP = "amount_paid"
    buy_with_grant(sandbox, make_affiliate(), price=price, percent=percent)
    assert LedgerEntry.objects.get().amount == earned


@pytest.mark.parametrize(("price", "percent"), [(49900, 100), (4900, 99)])
def test_a_free_enrollment_earns_nothing(sandbox: Sandbox, price: int, percent: int):
    """100 %, and 49.00 at 99 %, which is under what Stripe takes."""
    affiliate = make_affiliate()
    enrollment = buy_with_grant(sandbox, affiliate, price=price, percent=percent)
    assert (enrollment.status, enrollment.amount, enrollment.affiliate_id) == (
        "paid",
        0,
        affiliate.pk,
    )
    assert (
        sandbox.sessions(),
        Commission.objects.count(),
        LedgerEntry.objects.count(),
        Balance.objects.count(),
    ) == ([], 0, 0, 0)


def test_a_free_course_earns_nothing(sandbox: Sandbox):
    affiliate, course = make_affiliate(), make_course(price=0)
    assert check_out(came_by(affiliate), course).status_code == 302
    assert Enrollment.objects.get().status == "paid"
    assert LedgerEntry.objects.count() == 0


@pytest.mark.every_engine
def test_the_funnel_counts_visit_checkout_and_purchase(sandbox: Sandbox):
    affiliate, course = make_affiliate(), make_course()
    for number in range(3):
        client = visitor(**{"user-agent": f"Firefox {number}"})
        client.get(f"/r/{affiliate.code}/{course.slug}/")
        if number:
            check_out(client, course, email=f"buyer{number}@example.com")
    sandbox.pay(sandbox.sessions()[0]["id"])
    deliver_events(sandbox)
    days = ReferralDay.objects.filter(course_slug=course.slug).order_by("currency")
    counted = list(days.values_list("currency", "visits", "checkouts", "purchases", "earned"))
    assert counted == [("", 3, 0, 0, 0), ("usd", 0, 2, 1, 4990)]


def counted() -> list[tuple[int, int, int]]:
    return list(
        ReferralDay.objects.exclude(currency="").values_list("checkouts", "purchases", "earned")
    )


@pytest.mark.parametrize(("price", "percent"), [(49900, 100), (4900, 99)])
def test_the_funnel_counts_a_free_enrollment_too(sandbox: Sandbox, price: int, percent: int):
    """Requirement R083: the funnel and the office speak of the same sales."""
    affiliate = make_affiliate()
    enrollment = buy_with_grant(sandbox, affiliate, price=price, percent=percent)
    assert not fulfillment.fulfill(enrollment, actor="test", payment_reference="FREE")
    assert counted() == [(1, 1, 0)]
    assert sales_figures.sales_of(affiliate, days=90).referrals == 1


def test_the_funnel_counts_a_free_course_and_a_sale_at_no_commission_once(sandbox: Sandbox):
    affiliate = make_affiliate(rate=0)
    check_out(came_by(affiliate), make_course(price=0))
    enrollment, payment = buy(sandbox, through=affiliate, email="second@example.com")
    for event in (completed(payment), async_succeeded(payment), completed(payment)):
        deliver(Client(), event)
    assert not fulfillment.fulfill(enrollment, actor="test", payment_reference="pi_1")
    assert counted() == [(1, 1, 0), (1, 1, 0)]
    assert sales_figures.sales_of(affiliate, days=90).referrals == 2
    assert (Commission.objects.count(), LedgerEntry.objects.count()) == (0, 0)


@pytest.mark.every_engine
def test_the_first_free_enrollments_of_a_day_at_once_are_all_credited_and_counted():
    affiliate, course = make_affiliate(), make_course(price=0)
    clients = [came_by(affiliate) for _ in range(8)]
    answers = race(
        lambda number: (
            check_out(clients[number], course, email=f"buyer{number}@example.com").status_code
        ),
        threads=8,
    )
    assert answers == [302] * 8
    assert set(Enrollment.objects.values_list("status", "referral_outcome")) == {
        ("paid", "credited")
    }
    assert counted() == [(8, 8, 0)]


@pytest.mark.every_engine
def test_a_free_enrollment_costs_four_statements_more_with_a_link(sandbox: Sandbox):
    """The affiliate, their addresses, the checkout and the purchase; the first of a day makes the
    row that is counted in.
    """
    affiliate, course = make_affiliate(), make_course(price=0)
    numbers = []
    for number, client in enumerate((came_by(affiliate), came_by(affiliate), visitor())):
        with statements() as asked:
            assert check_out(client, course, email=f"buyer{number}@example.com").status_code == 302
        numbers.append(len(asked))
    assert numbers[1] - numbers[2] == 4, (numbers, asked)


# --- it never stops a purchase --------------------------------------------------------------------

LOST = [
    (Affiliate,),
    (ReferralDay,),
    (FraudSignal,),
    (Affiliate, ReferralDay, ReferralVisit, FraudSignal),
]


@pytest.mark.every_engine
@pytest.mark.parametrize("ask", ["page", "json"])
@pytest.mark.parametrize("lost", LOST, ids=lambda lost: "+".join(model.__name__ for model in lost))
def test_a_checkout_goes_through_without_the_affiliates_tables(
    sandbox: Sandbox, lost: tuple, ask: str
):
    """Requirement R041."""
    affiliate, course = make_affiliate(), make_course()
    client = came_by(affiliate)
    client.cookies["partner"] = attribution.seal_partner(affiliate.code)
    with without_tables(*lost):
        assert all(is_broken(model) for model in lost)
        assert client.get(f"/checkout/{course.slug}/").status_code == 200
        answer = (
            check_out(client, course)
            if ask == "page"
            else post_json(client, courseId=course.slug, referralCode=affiliate.code)
        )
        assert answer.status_code == (302 if ask == "page" else 201)
        enrollment, payment = Enrollment.objects.get(), Payment.objects.get()
        assert (enrollment.status, payment.status, len(sandbox.sessions())) == (
            "pending",
            "pending",
            1,
        )
    assert enrollment.affiliate_id == (None if Affiliate in lost else affiliate.pk)
    sandbox.pay(payment.stripe_session_id)
    deliver_events(sandbox)
    assert fresh(enrollment).status == "paid"


@pytest.mark.every_engine
def test_a_free_enrollment_is_made_without_the_affiliates_tables(sandbox: Sandbox):
    affiliate, course = make_affiliate(), make_course(price=0)
    client = came_by(affiliate)
    with without_tables(Affiliate, ReferralDay, ReferralVisit, FraudSignal):
        assert check_out(client, course).status_code == 302
        assert Enrollment.objects.get().status == "paid"


@pytest.mark.every_engine
@pytest.mark.parametrize("ask", ["page", "json"])
def test_a_free_enrollment_is_credited_to_nobody_while_its_purchase_cannot_be_counted(ask: str):
    """Requirement R041."""
    affiliate, course = make_affiliate(), make_course()
    grant, client = make_coupon(course, percent=100), came_by(affiliate)
    with without_tables(ReferralDay):
        if ask == "page":
            assert check_out(client, course, email=HOLDER, coupon=grant.code).status_code == 302
        else:
            assert (
                post_json(
                    client, courseId=course.slug, email=HOLDER, couponCode=grant.code
                ).status_code
                == 201
            )
    enrollment = Enrollment.objects.get()
    assert (enrollment.status, fresh(grant).status, facts(enrollment)) == (
        "paid",
        "redeemed",
        (None, "", "", None, None),
    )
    assert SyncJob.objects.count() == 1


@pytest.mark.every_engine
def test_a_payment_is_kept_while_its_commission_cannot_be_booked_and_settled_afterwards(
    client: Client,
):
    """Both or none: the money is not lost, and neither is the commission."""
    affiliate = make_affiliate()
    enrollment, payment = make_referred(affiliate)
    with without_tables(Commission):
        answer = deliver(client, completed(payment))
        assert (answer.status_code, answer.json()["message"]) == (
            200,
            "Event stored, to be processed",
        )
    assert (fresh(enrollment).status, fresh(payment).status) == ("pending", "pending")
    event = StripeEvent.objects.get()
    assert retry_now(event)
    drain(EVENTS)
    assert fresh(enrollment).status == "paid"
    assert balance_of(affiliate) == (4990, 0, 0, 0)


# --- what it costs --------------------------------------------------------------------------------

# Statements more for a first sale: the balance is made once for each currency (4), the day's row
# where no checkout made it (3).
FIRST = 7


@pytest.mark.every_engine
def test_a_referred_checkout_takes_eight_statements_and_five_more_for_the_first_of_the_day(
    sandbox: Sandbox,
):
    """Five without a link (test_checkout): the affiliate, their addresses and the count come on
    top, and its rows once a day.
    """
    affiliate, course = make_affiliate(), make_course()
    numbers = []
    for number in range(3):
        client = came_by(affiliate)
        with statements() as asked:
            assert check_out(client, course, email=f"buyer{number}@example.com").status_code == 302
        numbers.append(len(asked))
    assert numbers == [13, 8, 8], asked
    with statements() as asked:
        check_out(visitor(), course)
    assert len(asked) == 5, asked


@pytest.mark.every_engine
def test_a_referred_and_granted_sale_is_fulfilled_in_nine_statements():
    """As many as are allowed."""
    affiliate, numbers = make_affiliate(), []
    course = make_course()
    for number in range(3):
        email = f"holder{number}@example.com"
        grant = make_coupon(course, email=email)
        fields = {
            "email": email,
            "grant_id": grant.pk,
            "amount": 24950,
            "kind": Enrollment.KIND_PARTIAL_GRANT,
            "discount_percent": 50,
        }
        enrollment, payment = make_referred(affiliate, course, **fields)
        type(grant).objects.filter(pk=grant.pk).update(
            status="reserved", enrollment_id=enrollment.pk
        )
        Payment.objects.filter(pk=payment.pk).update(
            status="paid", amount_received=24950, currency_received="usd"
        )
        with statements() as asked:
            assert fulfillment.fulfill(enrollment, actor="test", payment_reference=f"pi_{number}")
        numbers.append(len(asked))
    assert numbers == [FIRST + 9, 9, 9], asked
    assert LedgerEntry.objects.count() == 3


@pytest.mark.every_engine
def test_the_first_sale_of_an_affiliate_takes_no_more_since_its_checkout_made_the_rows(
    sandbox: Sandbox,
):
    affiliate = make_affiliate()
    check_out(came_by(affiliate), make_course())
    enrollment, payment = Enrollment.objects.get(), Payment.objects.get()
    Payment.objects.filter(pk=payment.pk).update(
        status="paid", amount_received=49900, currency_received="usd"
    )
    with statements() as asked:
        assert fulfillment.fulfill(enrollment, actor="test", payment_reference="pi_1")
    assert len(asked) == 7, asked


@pytest.mark.every_engine
def test_a_referred_sale_is_ten_statements_from_the_event_to_the_answer(client: Client):
    """Six without an affiliate (test_webhooks): the commission, its entry, the balance and the
    day's count come on top.
    """
    affiliate, numbers = make_affiliate(), []
    course = make_course()
    for _ in range(3):
        _, payment = make_referred(affiliate, course)
        event = completed(payment)
        with statements() as asked:
            assert deliver(client, event).status_code == 200
        numbers.append(len(asked))
    assert numbers == [FIRST + 10, 10, 10], asked


# --- one commission -------------------------------------------------------------------------------


def events_of_one_sale(payment: Payment) -> list[dict]:
    """Fifty deliveries: two events for one fact, the bank's, a late copy of the first, each many
    times.
    """
    kinds = [completed(payment), completed(payment), async_succeeded(payment), unpaid(payment)]
    return list(itertools.islice(itertools.cycle(kinds), 50))


@pytest.mark.every_engine
@pytest.mark.parametrize("sale", ["plain", "granted"])
def test_fifty_deliveries_at_once_of_the_events_of_one_sale_make_one_commission(sale: str):
    """Requirements R077, R215: one commission, and pending equals the sum."""
    affiliate, course = make_affiliate(), make_course(price=49900)
    make_other = make_referred(affiliate, course)
    deliver(Client(), completed(make_other[1]))
    fields: dict[str, Any] = {}
    if sale == "granted":
        grant = make_coupon(course, email=HOLDER)
        fields = {
            "email": HOLDER,
            "grant_id": grant.pk,
            "amount": 24950,
            "kind": Enrollment.KIND_PARTIAL_GRANT,
            "discount_percent": 50,
        }
    enrollment, payment = make_referred(affiliate, course, **fields)
    if sale == "granted":
        type(grant).objects.filter(pk=grant.pk).update(
            status="reserved", enrollment_id=enrollment.pk
        )
    events = events_of_one_sale(payment)
    statuses = []
    for at in range(0, len(events), 17):
        batch = events[at : at + 17]
        statuses += race(
            lambda number, batch=batch: deliver(Client(), batch[number]).status_code,
            threads=len(batch),
        )
    assert statuses == [200] * 50
    StripeEvent.objects.filter(status=PENDING).update(next_attempt_at=enrollment.created_at)
    drain(EVENTS)
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {DONE}
    assert list(enrollment.events.values_list("to_status", flat=True)) == ["paid"]
    assert Commission.objects.filter(enrollment_id=enrollment.pk).count() == 1
    amounts = list(LedgerEntry.objects.values_list("amount", flat=True))
    assert amounts == [4990, 4990]
    assert balance_of(affiliate) == (sum(amounts), 0, 0, 0)
    assert SyncJob.objects.filter(dedupe_key=f"enroll:{enrollment.pk}").count() == 1


@pytest.mark.every_engine
def test_first_sales_of_a_new_affiliate_at_once_share_one_balance():
    affiliate, course = make_affiliate(), make_course()
    payments = [make_referred(affiliate, course)[1] for _ in range(10)]
    statuses = race(
        lambda number: deliver(Client(), completed(payments[number])).status_code, threads=10
    )
    assert statuses == [200] * 10
    StripeEvent.objects.filter(status=PENDING).update(next_attempt_at=affiliate.created_at)
    drain(EVENTS)
    assert set(StripeEvent.objects.values_list("status", flat=True)) == {DONE}
    assert Balance.objects.count() == 1
    assert balance_of(affiliate) == (49900, 0, 0, 0)
    day = ReferralDay.objects.get(currency="usd")
    assert (day.purchases, day.earned) == (10, 49900)


@pytest.mark.every_engine
def test_many_referred_checkouts_at_once_are_all_counted_and_credited(sandbox: Sandbox):
    affiliate, course = make_affiliate(), make_course()
    clients = [came_by(affiliate) for _ in range(8)]
    answers = race(
        lambda number: (
            check_out(clients[number], course, email=f"b{number}@example.com").status_code
        ),
        threads=8,
    )
    assert answers == [302] * 8
    assert Enrollment.objects.filter(affiliate_id=affiliate.pk).count() == 8
    assert ReferralDay.objects.get(currency="usd").checkouts == 8


def test_a_sale_whose_commission_was_lost_is_healed_by_the_next_event(client: Client):
    """Whoever finds the sale paid already ensures what follows from it."""
    affiliate = make_affiliate()
    enrollment, payment = make_pending()
    deliver(client, completed(payment))
    changes = {
        "affiliate_id": affiliate.pk,
        "referral_code": affiliate.code,
        "commission_base": 49900,
        "commission_rate": 1000,
    }
    Enrollment.objects.filter(pk=enrollment.pk).update(**changes)
    for _ in range(3):
        deliver(client, completed(payment))
    assert balance_of(affiliate) == (4990, 0, 0, 0)
    assert LedgerEntry.objects.count() == 1


def test_a_purchase_on_the_affiliates_device_is_credited_and_shown_to_staff(sandbox: Sandbox):
    affiliate = make_affiliate()
    for number in range(2):
        client = came_by(affiliate)
        client.cookies["partner"] = attribution.seal_partner(affiliate.code)
        assert check_out(client, make_course(), email=f"b{number}@example.com").status_code == 302
    assert list(Enrollment.objects.values_list("referral_outcome", flat=True)) == [
        "credited",
        "credited",
    ]
    assert list(FraudSignal.objects.values_list("kind", "status")) == [("same_device", "open")] * 2


def test_another_persons_account_may_buy_through_the_link(sandbox: Sandbox):
    affiliate = make_affiliate()
    client = came_by(affiliate)
    client.force_login(make_user())
    check_out(client, make_course())
    assert Enrollment.objects.get().affiliate_id == affiliate.pk

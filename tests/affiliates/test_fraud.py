"""Signals of fraud: recorded for people to look at, at checkout and by the nightly review; nothing
is refused for one.
"""

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from affiliates import attribution, fraud, memberships
from affiliates.models import Affiliate, Commission, FraudSignal, LedgerEntry
from enrollments import fraud_review
from enrollments.models import Enrollment
from maaledu.vault import fingerprint
from payments.models import Payment
from tests.affiliates.make import make_affiliate, make_referred, sell
from tests.concurrency import race
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_course,
    refund_of,
    refunded,
)
from tests.office.test_lists import member
from tests.office.test_refunds import BOSS, signed_in, staff, text_of
from tests.sandbox_client import Sandbox
from tests.statements import statements

pytestmark = pytest.mark.any_engine

__all__ = ["staff"]

LIST = "/admin/affiliates/fraudsignal/"
HOME = "203.0.113.7"


def signals(**only: str) -> list[tuple[str, str]]:
    return sorted(FraudSignal.objects.filter(**only).values_list("kind", "detail"))


def kinds() -> list[str]:
    return sorted(FraudSignal.objects.values_list("kind", flat=True))


# --- at checkout ----------------------------------------------------------------------------------
def purchase(
    affiliate: Affiliate,
    email: str = "buyer@example.com",
    *,
    address: str = "198.51.100.1",
    device_of: str = "",
) -> Enrollment:
    """Buy a course by the affiliate's link, from an address, on a device that may be an affiliate's
    own; have it paid.
    """
    visitor, course = Client(REMOTE_ADDR=address), make_course(price=49900)
    visitor.cookies[django_settings.REFERRAL_COOKIE_NAME] = attribution.seal(affiliate.code)
    if device_of:
        visitor.cookies[django_settings.PARTNER_COOKIE_NAME] = attribution.seal_partner(device_of)
    assert (
        visitor.post(
            f"/checkout/{course.slug}/", {"email": email, "accept_terms": "on"}
        ).status_code
        == 302
    )
    payment = Payment.objects.get(enrollment__course=course)
    assert deliver(visitor, completed(payment)).status_code == 200
    return Enrollment.objects.get(course=course)


def at_home(email: str = "ada@example.com") -> Affiliate:
    affiliate = make_affiliate(email)
    memberships.remember_network(affiliate, fingerprint("network", HOME))
    affiliate.refresh_from_db()
    return affiliate


def test_an_ordinary_purchase_gives_no_signal(sandbox: Sandbox) -> None:
    enrollment = purchase(at_home())
    assert (enrollment.status, enrollment.referral_outcome, kinds()) == ("paid", "credited", [])


@pytest.mark.parametrize("kind", ["same_address", "same_device"])
def test_a_purchase_from_the_affiliates_own_place_goes_through_and_is_noted(
    sandbox: Sandbox, kind: str
) -> None:
    affiliate = at_home()
    enrollment = purchase(
        affiliate,
        **({"address": HOME} if kind == "same_address" else {"device_of": affiliate.code}),
    )
    assert (enrollment.status, enrollment.referral_outcome) == ("paid", "credited")
    assert Commission.objects.get().amount == 4990
    signal = FraudSignal.objects.get()
    assert (signal.kind, signal.status, signal.affiliate_id, signal.enrollment_id) == (
        kind,
        "open",
        affiliate.pk,
        enrollment.pk,
    )
    assert signal.detail == f"{enrollment.course_title}, buyer@example.com"


def test_another_affiliates_device_is_not_this_ones(sandbox: Sandbox) -> None:
    other = make_affiliate("other@example.com")
    FraudSignal.objects.all().delete()
    purchase(at_home(), device_of=other.code)
    assert "same_device" not in kinds()


@pytest.mark.parametrize(
    "email", ["ada+course@example.com", "a.d.a@example.com", "A.da+x@example.com"]
)
def test_a_variant_of_the_affiliates_address_buys_earns_nothing_and_is_noted(
    sandbox: Sandbox, email: str
) -> None:
    enrollment = purchase(at_home(), email)
    assert (enrollment.status, enrollment.referral_outcome, enrollment.affiliate_id) == (
        "paid",
        "self",
        None,
    )
    assert (Commission.objects.count(), LedgerEntry.objects.count(), kinds()) == (
        0,
        0,
        ["alias_email"],
    )


def test_the_affiliates_own_address_buys_and_earns_nothing(sandbox: Sandbox) -> None:
    enrollment = purchase(at_home(), "ada@example.com", address=HOME)
    assert (enrollment.status, enrollment.referral_outcome, Commission.objects.count()) == (
        "paid",
        "self",
        0,
    )
    assert kinds() == ["same_address"]


def test_a_second_try_at_one_checkout_is_one_signal(sandbox: Sandbox) -> None:
    affiliate, course = at_home(), make_course()
    visitor = Client(REMOTE_ADDR=HOME)
    visitor.cookies[django_settings.REFERRAL_COOKIE_NAME] = attribution.seal(affiliate.code)
    for _ in range(3):
        visitor.post(
            f"/checkout/{course.slug}/", {"email": "buyer@example.com", "accept_terms": "on"}
        )
    assert kinds() == ["same_address"]


def test_two_affiliates_paid_to_one_account_are_noted(db: None) -> None:
    first, second = make_affiliate("a@example.com"), make_affiliate("b@example.com")
    assert signals() == [("shared_account", f"Also: {first.code}")]
    assert FraudSignal.objects.get().affiliate_id == second.pk


# --- the nightly review ---------------------------------------------------------------------------
def sold(affiliate: Affiliate, number: int, **fields: object) -> list[Enrollment]:
    course = make_course()
    return [sell(Client(), affiliate, course, **fields)[0] for _ in range(number)]


def undo(enrollments: list[Enrollment]) -> None:
    for enrollment in enrollments:
        deliver(Client(), refunded(refund_of(enrollment.payments.get())))


def granted(affiliate: Affiliate, number: int, percent: int) -> None:
    course = make_course(price=100_000)
    sold_at = {
        "amount": 100_000 - 1000 * percent,
        "discount_percent": percent,
        "kind": "partial_grant",
    }
    for _ in range(number):
        sell(Client(), affiliate, course, **sold_at)


def test_quiet_sales_give_no_signal(db: None) -> None:
    sold(make_affiliate(), 6, network_key="")
    assert (fraud_review.review(), kinds()) == (0, [])


def test_many_purchases_from_one_address_are_noted_once_a_month(db: None) -> None:
    affiliate = make_affiliate()
    sold(affiliate, 4, network_key="a" * 64)
    sold(affiliate, 1, network_key="b" * 64)
    assert fraud_review.review() == 0
    sold(affiliate, 1, network_key="a" * 64)
    assert fraud_review.review() == 1
    assert signals() == [("one_address", "5 purchases in 30 days")]
    sold(affiliate, 1, network_key="a" * 64)
    assert (fraud_review.review(), FraudSignal.objects.count()) == (0, 1)


def test_purchases_of_long_ago_unpaid_ones_and_other_affiliates_do_not_count(db: None) -> None:
    affiliate, other = make_affiliate("a@example.com"), make_affiliate("b@example.com")
    FraudSignal.objects.all().delete()
    old = sold(affiliate, 2, network_key="a" * 64)
    Enrollment.objects.filter(pk__in=[row.pk for row in old]).update(
        created_at=timezone.now() - timedelta(days=31)
    )
    sold(affiliate, 3, network_key="a" * 64)
    sold(other, 2, network_key="a" * 64)
    for _ in range(3):
        make_referred(affiliate, network_key="a" * 64)
    assert (fraud_review.review(), kinds()) == (0, [])


def test_two_addresses_are_two_signals(db: None) -> None:
    affiliate = make_affiliate()
    sold(affiliate, 5, network_key="a" * 64)
    sold(affiliate, 5, network_key="b" * 64)
    assert (fraud_review.review(), kinds()) == (2, ["one_address", "one_address"])


@pytest.mark.parametrize(
    ("number", "refunds", "noted"),
    [(5, 2, True), (10, 3, True), (7, 2, False), (4, 4, False), (5, 1, False)],
)
def test_a_high_refund_rate_is_noted_where_there_are_enough_sales(
    db: None, number: int, refunds: int, noted: bool
) -> None:
    undo(sold(make_affiliate(), number)[:refunds])
    assert fraud_review.review() == int(noted)
    assert signals() == (
        [("refund_rate", f"{refunds} of {number} paid sales refunded in 90 days")] if noted else []
    )


def test_a_lost_dispute_counts_like_a_refund_and_a_partial_refund_does_not(db: None) -> None:
    sales = sold(make_affiliate(), 5)
    for enrollment in sales[:2]:
        deliver(Client(), refunded(refund_of(enrollment.payments.get(), 100)))
    deliver(Client(), disputed(dispute_of(sales[2].payments.get(), "lost")))
    assert fraud_review.review() == 0
    deliver(Client(), disputed(dispute_of(sales[3].payments.get(), "lost")))
    assert (fraud_review.review(), signals()) == (
        1,
        [("refund_rate", "2 of 5 paid sales refunded in 90 days")],
    )


def test_free_places_do_not_hide_a_refund_rate(db: None) -> None:
    affiliate = make_affiliate()
    undo(sold(affiliate, 5)[:2])
    free(affiliate, 20)
    assert Enrollment.objects.filter(affiliate_id=affiliate.pk).count() == 25
    assert (fraud_review.review(), kinds()) == (1, ["refund_rate"])


def free(affiliate: Affiliate, number: int) -> None:
    """Places taken for nothing by the affiliate's link, through the checkout itself."""
    course = make_course(price=0)
    for _ in range(number):
        visitor = Client(REMOTE_ADDR=f"198.51.100.{Enrollment.objects.count() + 1}")
        visitor.cookies[django_settings.REFERRAL_COOKIE_NAME] = attribution.seal(affiliate.code)
        person = {"email": f"free{Enrollment.objects.count()}@example.com", "accept_terms": "on"}
        assert visitor.post(f"/checkout/{course.slug}/", person).status_code == 302


def test_a_code_that_is_used_with_high_grants_only_is_noted(db: None) -> None:
    affiliate = make_affiliate()
    granted(affiliate, 4, 95)
    assert fraud_review.review() == 0
    granted(affiliate, 1, 90)
    assert fraud_review.review() == 1
    assert signals() == [("grants_only", "All 5 sales in 90 days with a grant of 90 % or more")]


def test_one_sale_with_a_lower_grant_is_enough_not_to_be_noted(db: None) -> None:
    affiliate = make_affiliate()
    granted(affiliate, 5, 95)
    granted(affiliate, 1, 89)
    assert (fraud_review.review(), kinds()) == (0, [])


@pytest.mark.every_engine
def test_what_goes_on_is_noted_again_in_another_month(db: None) -> None:
    granted(make_affiliate(), 5, 95)
    assert fraud_review.review() == 1
    signal = FraudSignal.objects.get()
    fraud.decide(signal, FraudSignal.CLEARED, by=BOSS)
    assert fraud_review.review() == 0
    FraudSignal.objects.filter(pk=signal.pk).update(dedupe_key=signal.dedupe_key[:-7] + "2020-01")
    assert fraud_review.review() == 1
    assert sorted(FraudSignal.objects.values_list("status", flat=True)) == ["cleared", "open"]


@pytest.mark.every_engine
def test_two_reviews_at_once_note_each_signal_once(db: None) -> None:
    affiliate = make_affiliate()
    sold(affiliate, 5, network_key="a" * 64)
    assert sum(race(lambda _: fraud_review.review(), threads=4)) == 1
    assert FraudSignal.objects.count() == 1


@pytest.mark.every_engine
def test_a_review_refuses_and_changes_nothing(db: None) -> None:
    affiliate = make_affiliate()
    undo(sold(affiliate, 5, network_key="a" * 64)[:2])
    before = list(LedgerEntry.objects.order_by("pk").values_list("pk", "amount"))
    assert fraud_review.review() == 2
    affiliate.refresh_from_db()
    assert (
        affiliate.status,
        list(LedgerEntry.objects.order_by("pk").values_list("pk", "amount")),
    ) == ("active", before)
    assert sold(affiliate, 1)[0].status == "paid"


@pytest.mark.every_engine
def test_the_review_asks_as_often_for_many_affiliates_as_for_one(db: None) -> None:
    for number in range(3):
        sold(make_affiliate(f"a{number}@example.com"), 2)
    FraudSignal.objects.all().delete()
    with statements() as asked:
        fraud_review.review()
    assert len(asked) <= 3


def test_the_night_looks_for_signals(db: None, sandbox: Sandbox, capsys) -> None:
    granted(make_affiliate(), 5, 95)
    call_command("nightly")
    assert "1 new fraud signals" in capsys.readouterr().out
    assert kinds() == ["grants_only"]


# --- the review list ------------------------------------------------------------------------------
def signal_of(affiliate: Affiliate | None = None) -> FraudSignal:
    fraud.note(
        affiliate or make_affiliate(),
        FraudSignal.SAME_DEVICE,
        key=str(FraudSignal.objects.count()),
        detail="Course one",
    )
    return FraudSignal.objects.latest("created_at")


def url(signal: FraudSignal, decision: str) -> str:
    return f"{LIST}{signal.pk}/{decision}/"


def bulk(client: Client, decision: str, rows: list[FraudSignal], **typed: str):
    chosen = {"action": decision, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(LIST, {**chosen, **typed}, follow=True)


@pytest.mark.parametrize(("decision", "status"), [("clear", "cleared"), ("confirm", "confirmed")])
def test_a_signal_is_decided_with_a_note_and_who_did_it(
    staff: Client, decision: str, status: str
) -> None:
    signal = signal_of()
    page = staff.get(url(signal, decision))
    assert (page.status_code, FraudSignal.objects.get().status) == (200, "open")
    assert "Course one" in text_of(page)
    assert staff.post(url(signal, decision), {"note": "Called them"}).status_code == 302
    signal.refresh_from_db()
    assert (signal.status, signal.reviewed_by, signal.note) == (status, BOSS, "Called them")
    assert signal.reviewed_at is not None
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message) == (str(signal.pk), f"{status}: Called them")
    assert "somebody else may have decided already" in text_of(
        staff.post(url(signal, decision), {"note": ""})
    )
    assert LogEntry.objects.count() == 1


@pytest.mark.every_engine
def test_a_decision_can_be_changed(staff: Client) -> None:
    signal = signal_of()
    for decision in ("clear", "confirm", "clear"):
        assert staff.post(url(signal, decision), {"note": ""}).status_code == 302
    assert (FraudSignal.objects.get().status, LogEntry.objects.count()) == ("cleared", 3)


def test_many_signals_are_decided_after_a_confirmation(staff: Client) -> None:
    affiliate = make_affiliate()
    rows = [signal_of(affiliate) for _ in range(3)]
    fraud.decide(rows[0], FraudSignal.CLEARED, by="other@example.com")
    assert "Clear: 3 fraud signals" in text_of(bulk(staff, "clear", rows))
    assert FraudSignal.objects.filter(status="open").count() == 2
    assert "2 cleared, 1 skipped." in text_of(
        bulk(staff, "clear", rows, decide="1", note="A family")
    )
    assert "3 confirmed, 0 skipped." in text_of(bulk(staff, "confirm", rows, decide="1"))
    assert LogEntry.objects.count() == 5


@pytest.mark.every_engine
def test_the_list_is_filtered_searched_and_leads_to_the_suspension(
    staff: Client, sandbox: Sandbox
) -> None:
    affiliate = at_home()
    enrollment = purchase(affiliate, address=HOME)
    signal = FraudSignal.objects.get()
    signal_of(make_affiliate("other@example.com"))
    for query in (
        {"q": str(enrollment.pk)},
        {"q": str(signal.pk)},
        {"q": affiliate.email},
        {"kind__exact": "same_address"},
    ):
        assert [row.pk for row in staff.get(LIST, query).context["cl"].result_list] == [
            signal.pk
        ], query
    page = text_of(staff.get(f"{LIST}{signal.pk}/change/"))
    suspend = f"/admin/affiliates/affiliate/{affiliate.pk}/suspend/"
    for link in (suspend, f"/admin/enrollments/enrollment/{enrollment.pk}/change/"):
        assert f'href="{link}"' in page
    staff.post(suspend, {"reason": "Own purchases"})
    assert "The affiliate is suspended." in text_of(staff.get(f"{LIST}{signal.pk}/change/"))


def test_looking_now_asks_first_and_then_notes_what_it_finds(staff: Client) -> None:
    granted(make_affiliate(), 5, 95)
    assert f"{LIST}look/" in text_of(staff.get(LIST))
    assert (staff.get(f"{LIST}look/").status_code, kinds()) == (200, [])
    assert "1 new signal." in text_of(staff.post(f"{LIST}look/", follow=True))
    assert kinds() == ["grants_only"]
    assert "0 new signals." in text_of(staff.post(f"{LIST}look/", follow=True))


def test_staff_without_the_permission_get_403_and_change_nothing(db: None) -> None:
    signal = signal_of()
    clerk = member("view_fraudsignal", "review_affiliate")
    assert clerk.get(LIST).status_code == 200
    for decision in ("clear", "confirm"):
        assert clerk.get(url(signal, decision)).status_code == 403
        assert clerk.post(url(signal, decision), {"note": "x"}).status_code == 403
    assert clerk.post(f"{LIST}look/").status_code == 403
    bulk(clerk, "clear", [signal], decide="1")
    assert (FraudSignal.objects.get().status, LogEntry.objects.count()) == ("open", 0)


def test_staff_with_the_permission_can(db: None) -> None:
    signal = signal_of()
    member("view_fraudsignal", "review_fraudsignal").post(url(signal, "clear"), {"note": ""})
    assert (FraudSignal.objects.get().status, LogEntry.objects.get().user.email) == (
        "cleared",
        "clerk@example.com",
    )


def test_a_forged_decision_is_refused(staff: Client) -> None:
    signal = signal_of()
    forger = signed_in(BOSS, enforce_csrf_checks=True)
    assert forger.post(url(signal, "clear"), {"note": ""}).status_code == 403
    assert forger.post(f"{LIST}look/").status_code == 403
    assert FraudSignal.objects.get().status == "open"

import json
import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from enrollments import coupons
from enrollments.mails import confirmation_context
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from grants import applications, redemption
from grants.models import Grant
from lms_sync.models import SyncJob
from maaledu.work.items import replay
from maaledu.work.queue import drain
from notifications.models import Email
from notifications.outgoing import compose
from notifications.queue import EMAILS
from payments import overdue
from payments.models import Payment
from tests.concurrency import race, winners
from tests.factories import async_failed, completed, deliver, expired, make_course, unpaid
from tests.grants.make import HOLDER, STAFF, make_coupon
from tests.payments.test_checkout import age
from tests.payments.test_webhooks import statements
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine


def post(client: Client, grant: Grant, **changes: object):
    form = {"email": HOLDER, "accept_terms": "on", "coupon": grant.code, **changes}
    return client.post(f"/checkout/{grant.course.slug}/", form)


def status_of(grant: Grant) -> str:
    grant.refresh_from_db()
    return grant.status


@pytest.fixture(autouse=True)
def _no_limits(settings) -> None:
    settings.RATE_LIMITS = {
        **settings.RATE_LIMITS,
        "coupon": "1000/1m",
        "coupon_email": "1000/1m",
        "checkout": "1000/1m",
    }


@pytest.mark.parametrize(
    ("price", "percent", "asked"),
    [(49900, 50, 24950), (19999, 33, 13399), (49900, 95, 2495)],
    ids=["50 %", "33 %", "95 %"],
)
def test_a_partial_grant_is_charged_to_the_cent(
    buyer: Client, sandbox: Sandbox, price: int, percent: int, asked: int
) -> None:
    grant = make_coupon(make_course(price=price), percent=percent)
    assert post(buyer, grant).status_code == 302
    enrollment = Enrollment.objects.get()
    assert (
        enrollment.kind,
        enrollment.list_price,
        enrollment.amount,
        enrollment.discount_percent,
    ) == (
        "partial_grant",
        price,
        asked,
        percent,
    )
    assert sandbox.sessions()[0]["amount_total"] == asked
    grant.refresh_from_db()
    assert (grant.status, grant.enrollment_id) == ("reserved", enrollment.pk)
    assert grant.reserved_at is not None
    deliver(buyer, completed(Payment.objects.get()))
    grant.refresh_from_db()
    assert (grant.status, grant.redeemed_by, grant.enrollment_id) == (
        "redeemed",
        HOLDER,
        enrollment.pk,
    )


@pytest.mark.parametrize(
    ("price", "percent"), [(49900, 100), (4900, 99)], ids=["100 %", "under the minimum"]
)
def test_a_free_grant_is_a_paid_enrollment_at_once_without_stripe(
    buyer: Client, sandbox: Sandbox, price: int, percent: int
) -> None:
    grant = make_coupon(make_course(price=price), percent=percent)
    answer = post(buyer, grant, coupon=grant.code.lower().replace("-", " "))
    enrollment = Enrollment.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, enrollment.get_absolute_url())
    assert (enrollment.kind, enrollment.status, enrollment.amount, enrollment.list_price) == (
        "grant",
        "paid",
        0,
        price,
    )
    assert (
        status_of(grant),
        Payment.objects.count(),
        SyncJob.objects.count(),
        sandbox.sessions(),
    ) == ("redeemed", 0, 1, [])


@pytest.mark.every_engine
def test_a_free_grant_has_exactly_one_email_and_only_after_access(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Requirements R138, R213."""
    grant = make_coupon(percent=100)
    drain(EMAILS)
    sandbox.clear_mails()
    sandbox.fault("lms", "500")
    post(buyer, grant)
    drain(LMS_JOBS, limit=1)
    drain(EMAILS)
    assert sandbox.mails(HOLDER) == []
    sandbox.heal()
    SyncJob.objects.update(next_attempt_at=timezone.now())
    drain(LMS_JOBS)
    drain(EMAILS)
    drain(EMAILS)
    assert len(sandbox.mails(HOLDER)) == 1
    assert Email.objects.filter(kind="grant_course_enrollment", status="done").count() == 1


def test_the_partial_grants_email_shows_the_saving(
    buyer: Client, sandbox: Sandbox, settings: Settings
) -> None:
    """Requirements R066, R214."""
    grant = make_coupon(percent=75)
    post(buyer, grant)
    deliver(buyer, completed(Payment.objects.get()))
    drain(LMS_JOBS)
    mail = Email.objects.get(kind="partial_grant_enrollment")
    assert (mail.context["saving"], mail.context["amount"], mail.context["list_price"]) == (
        "$374.25",
        "$124.75",
        "$499.00",
    )
    assert "Your grant:  \u2212$374.25 (75 %)" in compose(mail).body
    settings.LANGUAGE_CODE = "ar"
    mail.context = confirmation_context(Enrollment.objects.get())
    assert "\u2066\u2212$374,25\u2069" in compose(mail).body, "the sign stays on its side"


@pytest.mark.every_engine
def test_the_free_checkout_is_nine_statements_and_one_transaction(buyer: Client) -> None:
    grant = make_coupon(percent=100)
    slug = grant.course.slug
    with CaptureQueriesContext(connection) as captured:
        assert (
            buyer.post(
                f"/checkout/{slug}/", {"email": HOLDER, "accept_terms": "on", "coupon": grant.code}
            ).status_code
            == 302
        )
    assert len(statements(captured)) <= 9, statements(captured)
    if connection.vendor != "mongodb":
        assert sum(query["sql"].startswith("BEGIN") for query in captured) == 1


@pytest.mark.every_engine
def test_a_quote_is_three_statements_and_a_reservation_one(buyer: Client) -> None:
    grant = make_coupon()
    code = grant.code
    with CaptureQueriesContext(connection) as captured:
        found = redemption.quote(code=code, email=HOLDER, course=grant.course)
    assert len(statements(captured)) <= 3
    with CaptureQueriesContext(connection) as captured:
        assert redemption.reserve(found.grant, enrollment_id=uuid4(), until=timezone.now())
    assert len(statements(captured)) == 1
    Grant.objects.update(status="approved", enrollment_id=None)


def refusals(grant: Grant) -> dict[str, dict]:
    other = make_course()
    return {
        "unknown": {"coupon": "MAAL-AAAA-BBBB-CCCC"},
        "somebody else's": {"email": "thief@example.com"},
        "of another course": {"course": other.slug},
    }


def _make_expired(grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def _make_revoked(grant: Grant) -> None:
    applications.revoke(grant, by=STAFF)


def _make_swept(grant: Grant) -> None:
    _make_expired(grant)
    redemption.expire_overdue()


@pytest.mark.parametrize(
    "ruin",
    [_make_expired, _make_revoked, _make_swept, None],
    ids=["expired", "revoked", "swept", "reissued"],
)
def test_every_dead_code_is_refused_alike_and_nothing_is_written(buyer: Client, ruin) -> None:
    grant = make_coupon()
    code = grant.code
    if ruin:
        ruin(grant)
    else:
        applications.reissue(grant, by=STAFF)
    answer = post(buyer, grant, coupon=code)
    assert answer.status_code == 409
    assert "Coupon already used or invalid." in answer.content.decode()
    assert Enrollment.objects.count() == 0
    tried = buyer.post(f"/checkout/{grant.course.slug}/coupon/", {"email": HOLDER, "coupon": code})
    assert tried.status_code == 409
    assert "Coupon already used or invalid." in tried.content.decode()


def test_unknown_foreign_and_other_courses_codes_are_refused_alike(buyer: Client) -> None:
    grant = make_coupon()
    bodies = set()
    for case in refusals(grant).values():
        slug = case.pop("course", grant.course.slug)
        body = {"courseId": slug, "email": HOLDER, "acceptTerms": True, "couponCode": grant.code}
        body |= {"couponCode": case["coupon"]} if "coupon" in case else case
        answer = buyer.post("/api/checkout", data=json.dumps(body), content_type="application/json")
        assert (answer.status_code, answer.json()["code"]) == (409, "COUPON_UNAVAILABLE")
        bodies.add(
            (
                answer.json()["error"],
                answer.json()["retryable"],
                json.dumps(answer.json()["details"]),
            )
        )
    assert len(bodies) == 1
    assert Enrollment.objects.count() == 0
    assert status_of(grant) == "approved"


def test_a_used_code_is_refused_to_its_own_holder_too(buyer: Client) -> None:
    grant = make_coupon(percent=100)
    post(buyer, grant)
    answer = post(buyer, grant)
    assert answer.status_code == 409
    assert "Coupon already used or invalid." in answer.content.decode()
    assert Enrollment.objects.count() == 1


def test_the_holder_gets_the_running_checkout_back(buyer: Client, sandbox: Sandbox) -> None:
    grant = make_coupon()
    first, second = post(buyer, grant), post(Client(), grant)
    assert first["Location"] == second["Location"]
    assert (Enrollment.objects.count(), len(sandbox.sessions())) == (1, 1)


def test_a_checkout_without_the_coupon_replaces_the_one_with_it(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Decisions, "a running checkout": the page without the coupon shows the full price."""
    grant = make_coupon()
    post(buyer, grant)
    assert post(Client(), grant, coupon="").status_code == 302
    assert sorted(Enrollment.objects.values_list("status", "amount", "grant_id")) == [
        ("cancelled", 24950, grant.pk),
        ("pending", 49900, None),
    ]
    assert sorted((s["status"], s["amount_total"]) for s in sandbox.sessions()) == [
        ("expired", 24950),
        ("open", 49900),
    ]
    grant.refresh_from_db()
    assert (grant.status, grant.enrollment_id) == ("approved", None)


def test_a_coupon_entered_later_replaces_the_checkout_at_full_price(
    buyer: Client, sandbox: Sandbox
) -> None:
    grant = make_coupon()
    post(buyer, grant, coupon="")
    assert post(buyer, grant).status_code == 302
    assert sorted(Enrollment.objects.values_list("status", "amount")) == [
        ("cancelled", 49900),
        ("pending", 24950),
    ]
    assert sorted((s["status"], s["amount_total"]) for s in sandbox.sessions()) == [
        ("expired", 49900),
        ("open", 24950),
    ]


@pytest.mark.every_engine
@pytest.mark.parametrize("percent", [50, 100])
def test_many_at_once_get_one_enrollment_for_one_coupon(
    buyer: Client, sandbox: Sandbox, percent: int
) -> None:
    grant = make_coupon(percent=percent)
    answers = race(lambda _: post(Client(), grant), threads=16)
    codes = [answer.status_code for answer in answers]
    if percent == 100:
        assert sorted(codes) == [302] + [409] * 15
    else:
        assert set(codes) <= {302, 503}
    assert Enrollment.objects.count() == 1
    assert len({a["Location"] for a in answers if a.status_code == 302}) == 1


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_of_twenty_reservations_at_once_exactly_one_wins() -> None:
    grant = make_coupon()
    until = timezone.now() + timedelta(minutes=36)
    results = race(
        lambda _: redemption.reserve(grant, enrollment_id=uuid4(), until=until), threads=20
    )
    assert winners(results) == 1


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_the_control_a_naive_look_then_write_lets_several_win() -> None:
    """Without the guard in the WHERE all win who have looked before the first one writes."""
    grant, all_have_looked = make_coupon(), threading.Barrier(16)

    def naive(_: int) -> bool:
        seen = Grant.objects.get(pk=grant.pk)
        all_have_looked.wait(60)
        if seen.status != Grant.APPROVED:
            return False
        return Grant.objects.filter(pk=grant.pk).update(status=Grant.RESERVED) == 1

    assert winners(race(naive, threads=16)) == 16


RELEASES = {
    "turning back": lambda client, payment: client.post(
        f"/checkout/cancelled/{payment.enrollment.token}/"
    ),
    "expiry": lambda client, payment: deliver(client, expired(payment)),
    "a bank that refuses": lambda client, payment: (
        deliver(client, unpaid(payment)),
        deliver(client, async_failed(payment)),
    ),
    "the sweep": lambda client, payment: (
        age(payment, timedelta(minutes=40)),
        overdue.end_overdue(),
    ),
}


@pytest.mark.parametrize("how", RELEASES)
def test_a_checkout_that_ends_unpaid_releases_the_coupon(
    buyer: Client, sandbox: Sandbox, how: str
) -> None:
    grant = make_coupon()
    post(buyer, grant)
    RELEASES[how](buyer, Payment.objects.get())
    grant.refresh_from_db()
    assert (grant.status, grant.enrollment_id, grant.reserved_until) == ("approved", None, None)
    assert post(buyer, grant).status_code == 302


@pytest.mark.parametrize("mode", ["down", "500", "lost_answer"])
def test_stripe_failing_releases_the_coupon(buyer: Client, sandbox: Sandbox, mode: str) -> None:
    grant = make_coupon()
    sandbox.fault("stripe", mode)
    assert post(buyer, grant).status_code == 503
    assert status_of(grant) == "approved"
    sandbox.heal()
    assert post(buyer, grant).status_code == 302


def test_a_late_payment_takes_its_coupon_back_if_it_is_free(buyer: Client) -> None:
    grant = make_coupon()
    post(buyer, grant)
    payment = Payment.objects.get()
    deliver(buyer, expired(payment))
    assert status_of(grant) == "approved"
    deliver(buyer, completed(payment))
    assert status_of(grant) == "redeemed"
    payment.refresh_from_db()
    assert payment.review_reason == "late"


def test_a_late_payment_supersedes_the_holders_newer_checkout_and_its_reservation(
    buyer: Client,
) -> None:
    grant = make_coupon()
    post(buyer, grant)
    late = Payment.objects.get()
    deliver(buyer, expired(late))
    post(buyer, grant)
    deliver(buyer, completed(late))
    grant.refresh_from_db()
    assert (grant.status, grant.enrollment_id) == ("redeemed", late.enrollment_id)


def test_a_late_payment_whose_coupon_was_revoked_keeps_the_enrollment_and_alerts_staff(
    buyer: Client,
) -> None:
    grant = make_coupon()
    post(buyer, grant)
    payment = Payment.objects.get()
    deliver(buyer, expired(payment))
    applications.revoke(grant, by=STAFF)
    deliver(buyer, completed(payment))
    assert (status_of(grant), Enrollment.objects.get().status) == ("revoked", "paid")
    assert Email.objects.filter(dedupe_key__startswith="alert:coupon-gone").count() == 1


def test_a_reserved_coupon_is_not_expired_while_its_checkout_is_open(buyer: Client) -> None:
    grant = make_coupon()
    post(buyer, grant)
    Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert redemption.expire_overdue() == 0
    deliver(buyer, completed(Payment.objects.get()))
    assert status_of(grant) == "redeemed"


def test_the_price_is_the_courses_own_at_checkout_and_frozen_then(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Requirement R060: the percentage is the promise, the price is read at checkout."""
    grant = make_coupon(make_course(price=49900))
    grant.course.price = 60000
    grant.course.save()
    post(buyer, grant)
    assert sandbox.sessions()[0]["amount_total"] == 30000
    grant.course.price = 10000
    grant.course.save()
    deliver(buyer, completed(Payment.objects.get()))
    assert Enrollment.objects.get().amount == 30000


def test_a_free_enrollment_the_lms_refuses_is_kept_until_staff_roll_it_back(
    buyer: Client, sandbox: Sandbox
) -> None:
    grant = make_coupon(percent=100)
    post(buyer, grant)
    enrollment = Enrollment.objects.get()
    assert not coupons.roll_back(enrollment, by=STAFF)
    sandbox.lms(courses_any=False, courses=[])
    drain(LMS_JOBS)
    sandbox.lms(courses_any=True)
    enrollment.refresh_from_db()
    assert (enrollment.status, enrollment.lms_status, status_of(grant)) == (
        "paid",
        "failed",
        "redeemed",
    )
    assert coupons.roll_back(enrollment, by=STAFF)
    assert not coupons.roll_back(enrollment, by=STAFF)
    enrollment.refresh_from_db()
    assert (enrollment.status, status_of(grant)) == ("failed", "approved")
    assert Email.objects.filter(kind="grant_rolled_back").count() == 1
    assert post(buyer, grant).status_code == 302


def test_the_policy_can_roll_a_refused_free_enrollment_back_at_once(
    buyer: Client, sandbox: Sandbox, settings
) -> None:
    settings.FREE_GRANT_ON_LMS_FAILURE = "rollback"
    grant = make_coupon(percent=100)
    post(buyer, grant)
    sandbox.lms(courses_any=False, courses=[])
    drain(LMS_JOBS)
    sandbox.lms(courses_any=True)
    assert (Enrollment.objects.get().status, status_of(grant)) == ("failed", "approved")


def test_an_enrollment_that_was_rolled_back_is_not_made_by_a_replay(
    buyer: Client, sandbox: Sandbox
) -> None:
    grant = make_coupon(percent=100)
    post(buyer, grant)
    sandbox.lms(courses_any=False, courses=[])
    drain(LMS_JOBS)
    sandbox.lms(courses_any=True)
    coupons.roll_back(Enrollment.objects.get(), by=STAFF)
    replay(SyncJob.objects.get())
    drain(LMS_JOBS)
    assert SyncJob.objects.get().last_error.startswith("ENROLLMENT_IS_OVER")
    assert sandbox.enrollments(HOLDER) == []


def test_the_coupon_check_quotes_the_price_and_holds_nothing(buyer: Client) -> None:
    grant = make_coupon()
    answer = buyer.post(
        f"/checkout/{grant.course.slug}/coupon/", {"email": HOLDER, "coupon": grant.code}
    )
    assert answer.status_code == 200
    assert "$249.50" in answer.content.decode()
    assert (status_of(grant), Enrollment.objects.count()) == ("approved", 0)
    refused = buyer.post(
        f"/checkout/{grant.course.slug}/coupon/",
        {"email": "thief@example.com", "coupon": grant.code},
    )
    assert refused.status_code == 409
    loaded = buyer.get(f"/checkout/{grant.course.slug}/coupon/", {"coupon": grant.code})
    assert (loaded.status_code, loaded["Location"]) == (302, f"/checkout/{grant.course.slug}/")


def test_codes_are_tried_five_times_in_a_quarter_hits_and_misses_alike(
    buyer: Client, settings
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "coupon": "5/15m"}
    cache.clear()
    grant = make_coupon()
    url = f"/checkout/{grant.course.slug}/coupon/"
    codes = [grant.code, "MAAL-AAAA-BBBB-CCCC"] * 3
    answers = [buyer.post(url, {"email": HOLDER, "coupon": code}) for code in codes]
    assert [a.status_code for a in answers] == [200, 409, 200, 409, 200, 429]
    assert "Retry-After" in answers[-1]


def test_codes_are_tried_more_slowly_for_one_address_over_all_networks(
    buyer: Client, settings
) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "coupon_email": "3/1d"}
    settings.TRUSTED_PROXY_COUNT = 1
    cache.clear()
    grant = make_coupon()
    url = f"/checkout/{grant.course.slug}/coupon/"
    statuses = [
        buyer.post(
            url,
            {"email": HOLDER, "coupon": "MAAL-AAAA-BBBB-CCCC"},
            headers={"X-Forwarded-For": f"198.51.{n}.1"},
        ).status_code
        for n in range(4)
    ]
    assert statuses == [409, 409, 409, 429]


def test_the_link_of_the_approval_mail_fills_the_checkout_in(buyer: Client) -> None:
    grant = make_coupon()
    page = buyer.get(f"/checkout/{grant.course.slug}/", {"grant": grant.token}).content.decode()
    assert HOLDER in page
    assert grant.code in page
    assert (
        HOLDER
        not in buyer.get(
            f"/checkout/{grant.course.slug}/", {"grant": grant.token + "x"}
        ).content.decode()
    )


def test_the_lms_gets_the_grant_with_the_job(buyer: Client) -> None:
    """Requirement R061."""
    grant = make_coupon()
    post(buyer, grant)
    deliver(buyer, completed(Payment.objects.get()))
    payload = SyncJob.objects.get().payload
    assert (payload["original_amount"], payload["discount_percentage"], payload["grant_id"]) == (
        49900,
        50,
        str(grant.pk),
    )
    assert (payload["enrollment_type"], payload["amount"]) == ("partial_grant", 24950)

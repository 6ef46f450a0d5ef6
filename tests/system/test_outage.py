"""The LMS or the mail server is away while people buy: purchases go on, nothing is given up, and
everything comes right.
"""

import re

import pytest
from django.conf import settings

from enrollments.models import Enrollment
from lms_sync.models import SyncAttempt, SyncJob
from notifications.models import Email, MailState
from tests.sandbox_client import LMS_KEY, Sandbox, wait_until
from tests.system.books import assert_bought_once, let_time_pass, wait_settled
from tests.system.shop import Shop, learners

pytestmark = pytest.mark.django_db
STATE = re.compile(r'data-state="(\w+)"')
STAFF = settings.STAFF_ALERT_EMAILS[0]
RECOVERY_SECONDS = 60


@pytest.mark.engines("postgres")  # where several workers ask at once
def test_the_lms_is_down_for_the_length_of_fifty_purchases(shop: Shop, sandbox: Sandbox) -> None:
    emails = learners(50)
    sandbox.fault("lms", "down")
    shop.buy(emails[0])
    first = Enrollment.objects.get()
    wait_until(lambda: state_of(shop, first) == "lms_unavailable", 20)
    shop.buy_all(emails[1:])

    assert Enrollment.objects.paid().count() == 50
    assert (len(sandbox.enrollments()), learners_mails(sandbox)) == (0, 0)
    assert {state_of(shop, enrollment) for enrollment in Enrollment.objects.all()[:5]} == {
        "lms_unavailable"
    }
    page = shop.status_page(first.token)
    assert "has been unavailable since" in page
    assert "Next try:" in page
    used = list(SyncJob.objects.filter(attempts__gt=0).values_list("attempts", flat=True))
    assert sum(used) <= settings.LMS_BREAKER_FAILURES, "only what opened the breaker may count"
    assert SyncAttempt.objects.count() <= 2 * settings.LMS_BREAKER_FAILURES

    sandbox.heal("lms")
    let_time_pass()  # what opened the breaker had a pause of its own before its next try
    wait_settled(sandbox, 50, RECOVERY_SECONDS)
    assert_bought_once(sandbox, emails)
    assert sum(SyncJob.objects.values_list("attempts", flat=True)) == sum(used), (
        "an outage uses up no attempt"
    )
    assert {state_of(shop, enrollment) for enrollment in Enrollment.objects.all()[:5]} == {"ready"}
    assert len(alerts(sandbox, "unavailable")) == 1


@pytest.mark.engines("sqlite")
def test_a_wrong_key_parks_everything_alerts_once_and_lets_go_when_it_is_right(
    shop: Shop, sandbox: Sandbox
) -> None:
    emails = learners(5)
    sandbox.lms(key="another-key:another-secret")
    shop.buy_all(emails)
    wait_until(lambda: alerts(sandbox, "misconfigured"), 30)
    probes = len(sandbox.calls("lms"))
    wait_until(lambda: len(sandbox.calls("lms")) >= probes + 2, 40)
    assert {state_of(shop, enrollment) for enrollment in Enrollment.objects.all()} == {
        "lms_unavailable"
    }
    assert set(SyncJob.objects.values_list("status", "attempts")) == {("pending", 0)}

    sandbox.lms(key=LMS_KEY)
    let_time_pass()
    wait_settled(sandbox, 5, RECOVERY_SECONDS)
    assert_bought_once(sandbox, emails)
    assert len(alerts(sandbox, "misconfigured")) == 1


@pytest.mark.engines("sqlite")
def test_a_mail_server_that_is_down_delays_the_mails_and_nothing_else(
    shop: Shop, sandbox: Sandbox
) -> None:
    emails = learners(5)
    sandbox.fault("smtp", "down")
    shop.buy_all(emails)
    wait_until(lambda: Email.objects.filter(status="pending").count() == 5, 30)
    wait_until(lambda: MailState.objects.filter(state="unavailable").exists(), 30)
    assert {state_of(shop, enrollment) for enrollment in Enrollment.objects.all()} == {"ready"}
    assert learners_mails(sandbox) == 0
    assert set(Email.objects.values_list("attempts", flat=True)) == {0}

    sandbox.heal("smtp")
    let_time_pass()
    wait_settled(sandbox, 5, RECOVERY_SECONDS)
    assert_bought_once(sandbox, emails)


@pytest.mark.engines("sqlite")
def test_a_mail_server_that_hangs_up_before_its_250_gets_the_mail_again_under_the_same_id(
    shop: Shop, sandbox: Sandbox
) -> None:
    sandbox.fault("smtp", "drop", times=1)
    shop.buy("ada@example.com")
    wait_until(lambda: Email.objects.filter(status="pending", fence=1).exists(), 20)
    let_time_pass()
    wait_settled(sandbox, 1, RECOVERY_SECONDS)
    assert_bought_once(sandbox, ["ada@example.com"], mails=(2,))


@pytest.mark.engines("postgres")
def test_an_lms_that_fails_more_than_every_third_call_ends_with_everybody_enrolled_once(
    shop: Shop, sandbox: Sandbox
) -> None:
    """Answers are lost, cut in half or errors, before and after the work; four times an hour
    passes, then it is mended.
    """
    emails = learners(20)
    sandbox.fault("lms", "random", percent=38, seed=7)
    shop.buy_all(emails)
    for _ in range(4):
        wait_until(lambda: SyncJob.objects.filter(status="running").count() == 0, 20)
        let_time_pass()
    sandbox.heal("lms")
    let_time_pass()
    wait_settled(sandbox, 20, RECOVERY_SECONDS)
    assert_bought_once(sandbox, emails)


def state_of(shop: Shop, enrollment: Enrollment) -> str:
    """Return the state that the learner's page shows."""
    found = STATE.search(shop.status_page(enrollment.token))
    assert found
    return found[1]


def alerts(sandbox: Sandbox, word: str) -> list[dict]:
    """Return what staff were alerted of, without what says that it is over."""
    subjects = [(mail, mail["subject"]) for mail in sandbox.mails(STAFF)]
    return [mail for mail, said in subjects if word in said and "Recovered" not in said]


def learners_mails(sandbox: Sandbox) -> int:
    return sum(STAFF not in mail["to"] for mail in sandbox.mails())

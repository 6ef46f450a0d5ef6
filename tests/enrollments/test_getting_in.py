"""Who has access can get in: a disabled account, the first password, an account that was there."""

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from enrollments.models import Enrollment
from grants.models import Grant
from lms_sync.models import DeadLetter, SyncJob
from notifications.models import Email
from notifications.outgoing import compose
from storefront.status import describe
from tests.enrollments.test_provisioning import buy, run_lms_job
from tests.factories import make_course
from tests.grants.make import make_coupon
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine
OFF = "A learner's account on the learning platform is switched off"
HOLDER = "ada@example.com"


def alerts() -> list[dict]:
    return [email.context for email in Email.objects.filter(kind="staff_alert")]


def known_there(sandbox: Sandbox, email: str, **more: object) -> None:
    sandbox.lms(users=[{"email": email, "first_name": "Old", **more}])


def page(client: Client, enrollment: Enrollment) -> str:
    return client.get(enrollment.get_absolute_url()).content.decode()


def test_a_disabled_learner_is_enabled_and_told_that_the_account_was_there(
    buyer: Client, sandbox: Sandbox
) -> None:
    """L2."""
    enrollment = buy(buyer)
    known_there(sandbox, enrollment.email, enabled=0)
    assert run_lms_job().status == "done"
    assert [user["enabled"] for user in sandbox.book("users")] == [1]
    enrollment.refresh_from_db()
    assert (enrollment.has_access, enrollment.lms_user_made) == (True, False)
    assert "You had an account there already" in page(buyer, enrollment)


@pytest.mark.every_engine
def test_a_held_job_says_so_to_staff_once_and_to_the_learner_and_goes_on_by_itself(
    buyer: Client, sandbox: Sandbox, settings: Settings
) -> None:
    settings.FRAPPE_ENABLE_USERS, settings.FREE_GRANT_ON_LMS_FAILURE = False, "rollback"
    course = make_course()
    grant = make_coupon(course, email=HOLDER, percent=100)
    form = {"email": HOLDER, "coupon": grant.code, "accept_terms": "on"}
    assert buyer.post(f"/checkout/{course.slug}/", form).status_code == 302
    enrollment = Enrollment.objects.get()
    known_there(sandbox, HOLDER, enabled=0)
    for _ in range(9):
        job = run_lms_job()
    assert (job.status, job.attempts, sandbox.enrollments()) == ("pending", 0, [])
    assert 3500 < (job.next_attempt_at - timezone.now()).total_seconds() <= 3600
    assert [alert["subject"] for alert in alerts()] == [OFF]
    assert "Enable it in the LMS" in alerts()[0]["lines"][1]
    assert (Grant.objects.get().status, DeadLetter.objects.count()) == ("redeemed", 0)
    enrollment.refresh_from_db()
    assert describe(enrollment).state == "account_off"
    shown = page(buyer, enrollment)
    assert "Your account on the learning platform is switched off" in shown
    assert "Go to your course" not in shown
    assert Email.objects.exclude(kind="staff_alert").filter(to=HOLDER).count() == 1  # the coupon's
    known_there(sandbox, HOLDER, enabled=1)
    assert run_lms_job().status == "done"
    enrollment.refresh_from_db()
    assert describe(enrollment).state == "ready"


@pytest.mark.parametrize(
    ("is_known", "typed", "words"),
    [
        (False, "Ada", "choose “Forgot password” or “Login with Email Link”"),
        (True, "Ada", "already, which keeps its name: sign in with buyer0@example.com"),
        (True, "", "If you have no password for it, choose “Forgot password” there."),
    ],
)
def test_page_and_mail_say_how_to_get_in(
    buyer: Client, sandbox: Sandbox, is_known: bool, typed: str, words: str
) -> None:
    enrollment = bought(buyer, typed)
    if is_known:
        known_there(sandbox, enrollment.email)
    run_lms_job()
    shown, sent = page(buyer, enrollment), confirmation()
    assert words in shown
    assert words in sent
    keeps = "which keeps its name"
    assert (keeps in shown) == (keeps in sent) == (is_known and bool(typed))
    [user] = sandbox.book("users")
    assert user["first_name"] == ("Old" if is_known else "Ada")


@pytest.mark.every_engine
def test_the_welcome_of_the_lms_is_announced_to_new_users_only(
    buyer: Client, sandbox: Sandbox, settings: Settings
) -> None:
    """L9."""
    settings.FRAPPE_WELCOME_MAIL = True
    enrollment = bought(buyer, "Ada")
    run_lms_job()
    announced = "sends a message to buyer0@example.com with a link to set your password"
    assert announced in page(buyer, enrollment)
    assert announced in confirmation()
    assert [mail["subject"] for mail in sandbox.mails(enrollment.email)] == ["Welcome to the LMS"]


def bought(buyer: Client, typed: str) -> Enrollment:
    enrollment = buy(buyer)
    enrollment.email, enrollment.name = "buyer0@example.com", typed
    enrollment.save(update_fields=["email", "name"])
    SyncJob.objects.update(full_name=typed, email=enrollment.email)
    return enrollment


def confirmation() -> str:
    return compose(Email.objects.get(kind="purchase_confirmation")).body

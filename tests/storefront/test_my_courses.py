import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from accounts.models import User
from enrollments import progress
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from maaledu.work.queue import drain
from tests.enrollments.test_provisioning import buy
from tests.factories import make_course, make_pending
from tests.sandbox_client import Sandbox


def signed_in(email: str, *, verified: bool = True) -> Client:
    user = User.objects.create_user(email, "a long enough passphrase")
    EmailAddress.objects.create(user=user, email=email, verified=verified, primary=True)
    client = Client()
    client.force_login(user)
    return client


def test_nobody_sees_my_courses_without_signing_in(client: Client) -> None:
    answer = client.get("/account/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/account/")


def test_signing_up_later_with_the_same_verified_address_shows_what_was_bought(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    html = signed_in(enrollment.email).get("/account/").content.decode()
    assert enrollment.course_title in html
    assert "$499.00" in html
    assert enrollment.course_link in html


def test_an_unverified_address_shows_nothing(buyer: Client) -> None:
    enrollment = buy(buyer)
    html = signed_in(enrollment.email, verified=False).get("/account/").content.decode()
    assert enrollment.course_title not in html


def test_other_peoples_courses_are_not_shown(buyer: Client) -> None:
    enrollment = buy(buyer)
    assert (
        enrollment.course_title
        not in signed_in("somebody@example.com").get("/account/").content.decode()
    )


def test_no_link_into_the_course_before_access_exists(buyer: Client) -> None:
    """Requirement R023."""
    enrollment = buy(buyer)
    assert (
        enrollment.course_link not in signed_in(enrollment.email).get("/account/").content.decode()
    )


def test_the_list_comes_in_pages(client: Client) -> None:
    for number in range(25):
        make_pending(make_course(title=f"Numbered {number:02}"), email="many@example.com")
    learner = signed_in("many@example.com")
    first = learner.get("/account/")
    assert (len(first.context["enrollments"]), first.context["has_more"]) == (20, True)
    second = learner.get("/account/", {"cursor": first.context["next_cursor"]})
    assert (len(second.context["enrollments"]), second.context["has_more"]) == (5, False)
    seen = {e.pk for e in [*first.context["enrollments"], *second.context["enrollments"]]}
    assert len(seen) == 25


def test_progress_is_fetched_at_most_every_two_minutes_and_kept(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    enrollment.refresh_from_db()
    sandbox.lms(
        progress={"email": enrollment.email, "course": enrollment.lms_course_id, "percent": 50}
    )
    fragment = buyer.get(f"{enrollment.get_absolute_url()}progress/")
    assert "50" in fragment.content.decode()
    calls = len(sandbox.calls("lms"))
    buyer.get(f"{enrollment.get_absolute_url()}progress/")
    assert len(sandbox.calls("lms")) == calls
    enrollment.refresh_from_db()
    assert (enrollment.progress_percent, enrollment.progress_at is not None) == (50, True)


@pytest.mark.parametrize("mode", ["500", "down"])
def test_progress_stays_as_it_was_while_the_lms_is_down(
    buyer: Client, sandbox: Sandbox, mode: str
) -> None:
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    Enrollment.objects.update(progress_percent=40)
    enrollment.refresh_from_db()
    sandbox.fault("lms", mode)
    assert progress.refresh(enrollment) is False
    assert buyer.get(f"{enrollment.get_absolute_url()}progress/").status_code == 200
    enrollment.refresh_from_db()
    assert enrollment.progress_percent == 40
    assert timezone.now() > enrollment.created_at

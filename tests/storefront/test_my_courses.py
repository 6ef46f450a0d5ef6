import re
from datetime import timedelta

import pytest
import requests
from allauth.account.models import EmailAddress
from django.db.models import F
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import User
from enrollments import progress
from enrollments.models import Enrollment
from enrollments.provisioning import LMS_JOBS
from lms_sync.models import PlatformState
from maaledu.work.queue import drain
from notifications.models import UndeliverableAddress
from tests.enrollments.test_provisioning import buy
from tests.factories import make_course, make_pending
from tests.sandbox_client import Sandbox
from tests.statements import statements

pytestmark = pytest.mark.any_engine


def signed_in(email: str, *, verified: bool = True) -> Client:
    user = User.objects.create_user(email, "a long enough passphrase")
    EmailAddress.objects.create(user=user, email=email, verified=verified, primary=True)
    client = Client()
    client.force_login(user)
    return client


def asks_in(fragment: HttpResponse) -> int:
    """Return after how many seconds a page with this asks again."""
    return int(re.findall(r'hx-trigger="load delay:(\d+)s"', fragment.content.decode())[0])


def asks_for(fragment: HttpResponse) -> str:
    return re.findall(r'hx-get="([^"]+)"', fragment.content.decode())[0]


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


def test_who_cannot_be_written_to_reads_so_and_where_to_mend_it(client: Client) -> None:
    """Fault E2: in one statement for all courses."""
    for number in range(3):
        make_pending(make_course(title=f"Numbered {number}"), email="ada@example.com")
    learner = signed_in("ada@example.com")
    with statements() as before:
        assert "come back" not in learner.get("/account/").text
    UndeliverableAddress.objects.create(email="ada@example.com", reason="bounced")
    with statements() as asked:
        page = learner.get("/account/").text
    assert page.count("Our e-mails to ada@example.com come back") == 1
    assert 'Add another address under <a href="/accounts/email/">' in page
    about = [one for one in asked if UndeliverableAddress._meta.db_table in one]
    assert (len(about), len(asked)) == (1, len(before))


@pytest.mark.every_engine
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


def test_no_page_asks_the_lms_and_progress_is_shown_with_its_moment(
    buyer: Client, sandbox: Sandbox
) -> None:
    """Requirement R197: while somebody looks, it is asked for at most every two minutes."""
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    at = {"email": enrollment.email, "course": enrollment.lms_course_id, "percent": 50}
    sandbox.lms(progress=at)
    pages, learner = f"{enrollment.get_absolute_url()}progress/", signed_in(enrollment.email)
    calls = len(sandbox.calls("lms"))
    assert "as soon as the learning platform has reported it" in text_of(learner.get("/account/"))
    first = buyer.get(pages)
    assert (asks_in(first), "%" in text_of(first)) == (5, False)
    assert len(sandbox.calls("lms")) == calls

    assert progress.fetch_due() == 1
    calls, second = len(sandbox.calls("lms")), buyer.get(pages)
    enrollment.refresh_from_db()
    assert (asks_in(second), enrollment.progress_percent) == (120, 50)
    for page in (second, learner.get("/account/")):
        assert "50 %" in text_of(page)
        assert f'As of <time datetime="{enrollment.progress_at:%Y-%m-%dT%H:%M}' in text_of(page)
    assert progress.fetch_due() == 0
    assert len(sandbox.calls("lms")) == calls


def test_a_page_asks_seldom_where_the_lms_is_known_to_be_down(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    PlatformState.objects.update(state="open")
    assert asks_in(buyer.get(f"{enrollment.get_absolute_url()}progress/")) == 120


@pytest.mark.every_engine
def test_a_page_opened_right_after_access_does_not_stay_at_what_was_true_then(
    buyer: Client, sandbox: Sandbox
) -> None:
    """R197: it asks again when what it shows is two minutes old, however fresh that was."""
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    progress.fetch_due()
    opened = buyer.get(f"{enrollment.get_absolute_url()}progress/")
    assert ("0 %" in text_of(opened), asks_in(opened)) == (True, 120)
    at = {"email": enrollment.email, "course": enrollment.lms_course_id, "percent": 50}
    sandbox.lms(progress=at)
    Enrollment.objects.update(progress_at=F("progress_at") - timedelta(minutes=2))
    Enrollment.objects.update(progress_due_at=F("progress_due_at") - timedelta(minutes=2))
    assert asks_in(buyer.get(asks_for(opened))) == 5
    progress.fetch_due()
    assert "50 %" in text_of(buyer.get(asks_for(opened)))


def test_a_page_that_is_left_open_asks_less_and_less_often(buyer: Client, sandbox: Sandbox) -> None:
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    progress.fetch_due()
    page, pauses = buyer.get(f"{enrollment.get_absolute_url()}progress/"), []
    for _ in range(7):
        pauses.append(asks_in(page))
        page = buyer.get(asks_for(page))
    assert pauses == [120, 240, 480, 960, 1920, 3600, 3600]
    odd = {"": 120, "-1": 120, "0": 120, "x": 120, "²": 120, "9" * 5000: 3600}
    for asked, seconds in odd.items():
        page = buyer.get(f"{enrollment.get_absolute_url()}progress/", {"pause": asked})
        assert asks_in(page) == seconds


@pytest.mark.every_engine
def test_the_certificate_is_shown_to_the_learner_alone(buyer: Client, sandbox: Sandbox) -> None:
    """Requirement R030. Whoever has the link to the enrollment may be somebody else."""
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    given = {"email": enrollment.email, "course": enrollment.lms_course_id}
    [name] = sandbox.lms(certificates=[given])["certificates"]
    progress.fetch_due()
    page = f"{enrollment.get_absolute_url()}progress/"
    address = f"{sandbox.lms_url}/courses/{enrollment.lms_course_id}/{name}"
    learner = signed_in(enrollment.email)
    for answer in (learner.get("/account/"), learner.get(page)):
        assert f'<a href="{address}"' in text_of(answer)
        assert "Completed" in text_of(answer)
    others = (buyer, signed_in("somebody@example.com"))
    unverified = User.objects.create_user("unverified@example.com", "a long enough passphrase")
    EmailAddress.objects.create(user=unverified, email="x@example.com", verified=True)
    EmailAddress.objects.create(user=unverified, email=enrollment.email, verified=False)
    claimant = Client()
    claimant.force_login(unverified)
    for other in (*others, claimant):
        shown = text_of(other.get(page))
        assert ("Completed" in shown, "ertificate" in shown, address in shown) == (
            True,
            False,
            False,
        )
    assert requests.get(address, timeout=10).ok


@pytest.mark.every_engine
def test_a_certificate_without_a_link_of_the_lms_is_said_in_words(
    buyer: Client, sandbox: Sandbox
) -> None:
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    now = timezone.now()
    Enrollment.objects.update(
        progress_at=now,
        progress_percent=None,
        completed_at=now,
        has_certificate=True,
        certificate_url="https://elsewhere.example/certificate",
    )
    html = text_of(signed_in(enrollment.email).get("/account/"))
    assert "Your certificate is on the learning platform." in html
    assert ("elsewhere.example" in html, "<progress" in html) == (False, False)


@pytest.mark.every_engine
def test_a_platform_that_shows_no_progress_is_not_shown_as_zero(buyer: Client) -> None:
    enrollment = buy(buyer)
    drain(LMS_JOBS)
    Enrollment.objects.update(progress_at=timezone.now(), progress_percent=None)
    html = text_of(signed_in(enrollment.email).get("/account/"))
    assert "does not report progress in this course" in html
    assert ("<progress" in html, "Completed" in html) == (False, False)


def text_of(page: HttpResponse) -> str:
    return page.content.decode()

"""What the other tests rely on sees damage: otherwise they would prove nothing."""

from collections.abc import Callable

import pytest

from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from notifications.models import Email
from tests.factories import make_course, make_pending
from tests.sandbox_client import LMS_KEY, STRIPE_KEY, WEBHOOK_SECRET, Sandbox
from tests.system.books import assert_bought_once
from tests.system.leaks import leaks_in
from tests.system.test_write_sweep import EMAIL, SLUG, Purchase

pytestmark = pytest.mark.django_db
MAIL = f"From: shop@example.com\r\nTo: {EMAIL}\r\nSubject: Again\r\n\r\nAgain.\r\n"


def enrolled_twice(sandbox: Sandbox) -> None:
    sandbox.lms(enrollments=[{"member": EMAIL, "course": "another-course"}])


def told_twice(sandbox: Sandbox) -> None:
    sandbox.call("POST", "/control/mail", {"raw": MAIL, "to": [EMAIL]})


def never_told(sandbox: Sandbox) -> None:
    sandbox.clear_mails()


def bought_twice(sandbox: Sandbox) -> None:
    make_pending(make_course())


def stuck(sandbox: Sandbox) -> None:
    Email.objects.update(status="pending")


def another_job(sandbox: Sandbox) -> None:
    SyncJob.objects.create(
        dedupe_key="another", platform="frappe", email=EMAIL, course_id=SLUG, status="done"
    )


def access_forgotten(sandbox: Sandbox) -> None:
    Enrollment.objects.update(lms_status="pending")


DAMAGES = (
    enrolled_twice,
    told_twice,
    never_told,
    bought_twice,
    stuck,
    another_job,
    access_forgotten,
)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_books_that_disagree_are_noticed(
    driver, survivor, sandbox: Sandbox, faults, damage: Callable[[Sandbox], None]
) -> None:
    purchase = Purchase(driver, survivor, sandbox, faults)
    assert purchase.buy("", 0, "").exit == 0
    assert_bought_once(sandbox, [EMAIL])
    damage(sandbox)
    with pytest.raises(AssertionError):
        assert_bought_once(sandbox, [EMAIL])


@pytest.mark.parametrize(
    "line",
    [
        STRIPE_KEY,
        WEBHOOK_SECRET,
        LMS_KEY,
        "Authorization: Bearer abc",
        "csrftoken=abc",
        "for ada@example.com",
        "4242 4242 4242 4242",
    ],
)
@pytest.mark.parametrize("around", ["{}", '{{"event": "said {} here"}}'])
def test_a_secret_in_a_log_is_noticed(db: None, line: str, around: str) -> None:
    assert len(leaks_in(around.format(line))) >= 1


def test_a_learners_token_in_a_log_is_noticed_and_a_blurred_address_is_not(db: None) -> None:
    enrollment, _ = make_pending()
    assert leaks_in(f"GET /enrollments/{enrollment.token}/") != []
    assert leaks_in(f"GET /enrollments/{enrollment.token[:4]}…/ for a***@example.com") == []

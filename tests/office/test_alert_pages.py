"""An alert leads to the page of what it is about, and that page opens."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from lms_sync.models import DeadLetter, PlatformState, SyncJob
from notifications import alert_pages
from notifications.alerts import alert_staff, recover
from notifications.models import Alert, Email
from notifications.outgoing import compose
from tests.affiliates.make import make_staff
from tests.any_engine import seldom
from tests.factories import make_pending
from tests.office.test_home import letter, section, words

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants]


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(make_staff(email="boss@example.com"))
    return client


def about(key: str) -> str:
    """Return the address in the office that an alert with this key leads to."""
    kind = key.partition(":")[0]
    return alert_pages.page_of(Alert(key=key, kind=kind)).removeprefix(settings.SITE_URL)


@pytest.mark.parametrize(
    "kind",
    seldom(
        [*alert_pages.ROWS, *alert_pages.LISTS, "level", "step", "other"],
        on_every_engine=["access-differs", "channel"],
    ),
)
def test_every_kind_of_alert_leads_to_a_page_that_opens(boss: Client, kind: str) -> None:
    for rest in (f"{uuid4()}:1", "a~b"):
        answer = boss.get(about(f"{kind}:{rest}"))
        assert answer.status_code in (200, 302), rest  # of a row that is gone, to the first page


@pytest.mark.any_engine
def test_an_alert_of_an_enrollment_leads_to_its_page(boss: Client) -> None:
    enrollment, _ = make_pending()
    for key in (f"over-budget:{enrollment.pk}", f"lms-user-disabled:enroll:{enrollment.pk}:2"):
        assert about(key) == f"/admin/enrollments/enrollment/{enrollment.pk}/change/"


def test_an_alert_of_a_dead_letter_leads_to_it_and_one_of_a_list_to_all_for_that_reason(
    boss: Client,
) -> None:
    one, other = letter(1), letter(2)
    DeadLetter.objects.filter(pk=other.pk).update(reason="LMS_NOT_FOUND")

    def shown(key: str) -> set[Any]:
        return {row.pk for row in boss.get(about(key)).context["cl"].result_list}

    assert shown(f"dead-letter:{one.job_id}:3") == {one.pk}
    assert shown(f"dead-letter:frappe:LMS_NOT_FOUND:{one.job_id}:3") == {other.pk}
    assert shown(f"dead-letter:{uuid4()}:LMS_NOT_FOUND:2026112908") == {other.pk}


def test_the_mail_and_the_page_of_an_alert_have_the_link(boss: Client) -> None:
    job = letter().job
    alert_staff(key=f"dead-letter:{job.pk}:1", subject="It failed", lines=["Why"])
    page = f"/admin/lms_sync/deadletter/?q={job.pk}"
    mail = compose(Email.objects.get())
    assert f"Open what it is about: {settings.SITE_URL}{page}" in mail.body
    assert f'href="{settings.SITE_URL}{page}"' in mail.alternatives[0][0]
    alert = Alert.objects.get()
    shown = boss.get(f"/admin/notifications/alert/{alert.pk}/change/").content.decode()
    assert f'href="{settings.SITE_URL}{page}"' in shown


# --- platforms ------------------------------------------------------------------------------------
def test_a_platform_that_answers_again_shows_no_old_error_and_its_outages(boss: Client) -> None:
    since = timezone.now() - timedelta(hours=2)
    state = PlatformState.objects.create(name="frappe", last_error="No route to host")
    alert_staff(key="platform:frappe:unavailable:1", subject="Is down", lines=["X"], since=since)
    recover("platform:frappe")
    listed = words(boss.get("/admin/lms_sync/platformstate/"))
    assert "No route to host" not in listed
    page = boss.get(f"/admin/lms_sync/platformstate/{state.pk}/change/")
    assert "Is down" in words(page)
    assert "not over yet" not in words(page)
    PlatformState.objects.update(state="open", opened_at=since)
    assert "No route to host" in words(boss.get("/admin/lms_sync/platformstate/"))


@pytest.mark.any_engine
def test_jobs_that_wait_for_a_platform_are_called_parked(boss: Client) -> None:
    PlatformState.objects.create(name="frappe", state="open", opened_at=timezone.now())
    for name in ("frappe", "openedx"):
        job = {"platform": name, "email": f"{name}@example.com", "course_id": "c"}
        SyncJob.objects.create(dedupe_key=name, **job)
    jobs = words(boss.get("/admin/lms_sync/syncjob/"))
    assert "frappe@example.com c enroll parked" in jobs
    assert "openedx@example.com c enroll pending" in jobs
    assert "1 parked" in words(boss.get("/admin/lms_sync/platformstate/"))
    assert "1 job parked" in section(boss.get("/admin/"), "health")

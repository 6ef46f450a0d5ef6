"""Enroll many, as staff do it: a file, what each line would do, the start, and how far it is."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from enrollments.batches import BATCHES
from enrollments.models import Enrollment, EnrollmentBatch
from enrollments.provisioning import LMS_JOBS
from maaledu.work.queue import drain
from office.fields import CHOOSE_AGAIN
from tests.factories import make_course
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.any_engine

LIST = "/admin/enrollments/enrollmentbatch/"
FILE = b"e-mail,name\nann@example.com,Ann\nnobody,Bob\nann@example.com,Ann\n"


def send(office: Client, data: bytes = FILE) -> str:
    """Send the list for a new course and return the address that the answer leads to."""
    return post(office, data).headers.get("Location", "")


def post(office: Client, data: bytes) -> Any:
    form = {
        "course": make_course().pk,
        "file": SimpleUploadedFile("list.csv", data, "text/csv"),
        "reason": "Onboarding",
        "payer": "Example Works",
        "decide": "1",
    }
    return office.post(f"{LIST}enroll/", form)


@pytest.mark.every_engine
def test_a_list_is_shown_line_by_line_started_and_followed(
    office: Client, sandbox: Sandbox
) -> None:
    page = send(office)
    draft = office.get(page).content.decode()
    for said in (
        "Nobody is enrolled yet: 1 learner would be, 2 lines have a problem.",
        'Line 3: <span class="font-medium">nobody</span>, not an e-mail address',
        'Line 4: <span class="font-medium">ann@example.com</span>, the address is in the file',
    ):
        assert said in draft
    assert not Enrollment.objects.exists()
    batch = EnrollmentBatch.objects.get()
    start = f"{LIST}{batch.pk}/start/"
    assert "To be enrolled" in office.get(start).content.decode()
    assert office.post(start, {"decide": "1"}).status_code == 302
    counts = f"{LIST}{batch.pk}/counts/"
    assert "66 % done: 3 lines" in office.get(counts).content.decode()
    assert f'hx-get="{counts}"' in office.get(page).content.decode()
    drain(BATCHES)
    drain(LMS_JOBS)
    after = office.get(page).content.decode()
    assert "Finished: 3 lines" in after
    assert "hx-get" not in after.partition('id="counts"')[2].partition(">")[0]
    assert "nobody</span>, not an e-mail address" in after
    entries = LogEntry.objects.order_by("action_time").values_list("change_message", flat=True)
    assert list(entries) == ["drafted", "started"]
    assert (
        office.get(f"/admin/enrollments/batchrow/?batch__id__exact={batch.pk}").status_code == 200
    )


@pytest.mark.every_engine
def test_a_file_that_cannot_be_read_is_refused_with_its_reason(office: Client) -> None:
    answer = post(office, "ann@example.com,Änn".encode("cp1252"))
    assert (answer.status_code, CHOOSE_AGAIN in answer.content.decode()) == (200, True)
    assert not EnrollmentBatch.objects.exists()


def test_only_those_with_the_permission_enroll_many(client: Client, office: Client) -> None:
    send(office)
    batch = EnrollmentBatch.objects.get()
    viewer = User.objects.create_user(email="viewer@example.com", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_enrollmentbatch"))
    client.force_login(viewer)
    assert "enrollmentbatch/enroll" not in client.get(LIST).content.decode()
    for step in ("enroll/", f"{batch.pk}/start/", f"{batch.pk}/discard/"):
        assert client.post(f"{LIST}{step}", {"decide": "1"}).status_code in (403, 404), step
    batch.refresh_from_db()
    assert batch.status == "draft"
    assert client.get(f"{LIST}{batch.pk}/change/").status_code == 200
    viewer.user_permissions.clear()
    assert client.get(f"{LIST}{batch.pk}/counts/").status_code == 403

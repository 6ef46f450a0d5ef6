"""Who has a course is led to it, while its page stays the same for everybody (fault S10)."""

import pytest
from django.test import Client

from enrollments.models import Enrollment
from tests.factories import EnrollmentFactory, make_course
from tests.statements import statements
from tests.storefront.test_my_courses import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.breaks_invariants]
OWNER = "owner@example.com"


def test_an_owner_goes_to_the_course_and_nobody_else_learns_of_it(client: Client) -> None:
    course = make_course(slug="mine")
    enrollment = EnrollmentFactory.create(course=course, email=OWNER, status=Enrollment.PAID)
    owner = signed_in(OWNER)
    answer = owner.get("/courses/mine/owner/")
    assert (answer.status_code, answer.json()) == (
        200,
        {"url": enrollment.get_absolute_url(), "label": "View your enrollment"},
    )
    assert "no-store" in answer["Cache-Control"]
    Enrollment.objects.filter(pk=enrollment.pk).update(
        lms_status=Enrollment.LMS_SUCCESS, lms_enrollment_id="e-1"
    )
    there = owner.get("/courses/mine/owner/").json()
    assert there["label"] == "Go to your course"
    assert there["url"].startswith("http")
    for other in (client, signed_in("other@example.com")):
        assert other.get("/courses/mine/owner/").status_code == 204
    way = f'<a href="{enrollment.get_absolute_url()}">view your enrollment</a>'
    assert way in owner.get("/checkout/mine/").text
    assert "You have this course already" not in client.get("/checkout/mine/").text
    page = owner.get("/courses/mine/")
    assert page.content == client.get("/courses/mine/").content
    assert not page.cookies


@pytest.mark.any_engine
def test_a_visitor_costs_no_statement_and_an_unverified_address_owns_nothing(
    client: Client,
) -> None:
    course = make_course(slug="mine")
    EnrollmentFactory.create(course=course, email=OWNER, status=Enrollment.PAID)
    with statements() as asked:
        assert client.get("/courses/mine/owner/").status_code == 204
    assert asked == []
    assert signed_in(OWNER, verified=False).get("/courses/mine/owner/").status_code == 204
    assert client.post("/courses/mine/owner/").status_code == 405

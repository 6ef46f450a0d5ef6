"""Grants that tests start from, made by the product's own functions."""

from datetime import timedelta

from django.utils import timezone

from courses.models import Course
from enrollments import granting
from grants import applications
from grants.applications import Application, Decision
from grants.models import Grant, Program
from tests.factories import make_course

HOLDER = "holder@example.com"
STAFF = "staff@example.com"


def make_application(course: Course | None = None, *, email: str = HOLDER) -> Grant:
    return applications.apply(course or make_course(), Application("Grace Holder", email, "A situation.", "A motivation."))


def make_coupon(course: Course | None = None, *, percent: int = 50, email: str = HOLDER, program: Program | None = None) -> Grant:
    decision = Decision(percent, timezone.now() + timedelta(days=30), program)
    return granting.approve(make_application(course, email=email), decision, by=STAFF)

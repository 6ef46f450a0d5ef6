"""A learner's links, sent once more to the one address that they belong to."""

from datetime import timedelta
from hashlib import sha256

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from enrollments.models import Enrollment
from grants.models import Grant
from maaledu.direction import isolated
from notifications import outgoing
from storefront.my_courses import HIDDEN

KIND = "links_again"
MOST = 20
ONE_MAIL_IN = timedelta(minutes=10)


def send(email: str) -> bool:
    """Mail the links of this address (in its normal form) to it; return whether there are any.

    The caller must not show what this returns: who asks need not be the owner of the address.
    """
    links = [*_enrollments(email), *_grants(email)]
    if not links:
        return False
    period = int(timezone.now().timestamp() // ONE_MAIL_IN.total_seconds())
    who = sha256(email.encode()).hexdigest()[:32]
    outgoing.stage(
        kind=KIND,
        to=email,
        dedupe_key=f"{KIND}:{who}:{period}",
        context={
            "links": links,
            "has_more": len(links) >= MOST,
            "sign_in_link": settings.SITE_URL + reverse("account_request_login_code"),
        },
    )
    return True


def _enrollments(email: str) -> list[tuple[str, str]]:
    shown = Enrollment.objects.filter(email=email).exclude(status__in=HIDDEN)
    return [
        (isolated(enrollment.course_title), enrollment.status_link)
        for enrollment in shown.order_by("-created_at")[:MOST]
    ]


def _grants(email: str) -> list[tuple[str, str]]:
    rows = Grant.objects.filter(email=email).select_related("course").order_by("-created_at")
    return [
        (
            gettext("Your grant application: %(course)s")
            % {"course": isolated(grant.course.title)},
            settings.SITE_URL + reverse("grant", args=[grant.token]),
        )
        for grant in rows[:MOST]
    ]

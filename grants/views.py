"""The pages of a learner who applies for a grant and follows the application."""

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_safe

from courses.errors import CourseNotFound
from courses.models import Course
from grants import applications, mails
from grants.errors import AlreadyDecided, ApplicationNotFound
from grants.forms import ApplicationForm
from grants.models import Grant, Program
from maaledu.limits import limit
from notifications import bounces

MOST_PROGRAMS = 50


@method_decorator(limit("grant_application", methods=["POST"]), name="dispatch")
class ApplyView(View):
    """The application form of one course.

    Its answer is the same whether the address is known or not.
    """

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        initial = (
            {"email": request.user.email, "name": request.user.name}
            if request.user.is_authenticated
            else {}
        )
        return self.page(request, course_of(slug), ApplicationForm(initial=initial))

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        course, form = course_of(slug), ApplicationForm(request.POST)
        if not form.is_valid():
            return self.page(request, course, form, status=400)
        applications.apply(course, form.application())
        return redirect("grant_applied", slug=slug)

    def page(
        self, request: HttpRequest, course: Course, form: ApplicationForm, *, status: int = 200
    ) -> HttpResponse:
        return render(
            request, "grants/apply.html", {**_course_context(course), "form": form}, status=status
        )


@require_safe
def applied(request: HttpRequest, slug: str) -> HttpResponse:
    return render(request, "grants/applied.html", _course_context(course_of(slug)))


@require_safe
def grant_page(request: HttpRequest, token: str) -> HttpResponse:
    """The state of an application, for whoever has its link."""
    grant = _grant(token)
    context = {
        "grant": grant,
        "course": grant.course,
        "mail": mails.mail_context(grant),
        "mail_problem": bounces.why_undeliverable(grant.email),
        "now": timezone.now(),
    }
    return render(request, "grants/grant.html", context)


@require_safe
def programs(request: HttpRequest) -> HttpResponse:
    """The programs that take applications: for whom, how many, until when, how decided."""
    announced = Program.objects.announced(timezone.now().date())[:MOST_PROGRAMS]
    context = {
        "programs": [program for program in announced if not program.is_used_up],
        "answer_days": settings.GRANT_ANSWER_WORKING_DAYS,
    }
    return render(request, "grants/programs.html", context)


@method_decorator(limit("status", methods=["POST"]), name="dispatch")
class WithdrawView(View):
    """An applicant ends an application that is not decided yet. A link alone changes nothing."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        grant = _grant(token)
        if grant.status != Grant.PENDING:
            return redirect("grant", token)
        context = {"grant": grant, "course": grant.course}
        return render(request, "grants/withdraw.html", context)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        # Sent twice, or decided meanwhile: the page of the application says what is so.
        with suppress(AlreadyDecided):
            applications.withdraw(_grant(token))
        return redirect("grant", token)


def _grant(token: str) -> Grant:
    grant = Grant.objects.filter(token=token).select_related("course").first()
    if grant is None:
        raise ApplicationNotFound
    return grant


def course_of(slug: str) -> Course:
    course = Course.objects.on_sale().filter(slug=slug).first()
    if course is None or course.is_free:
        raise CourseNotFound(slug=slug)
    return course


def _course_context(course: Course) -> dict[str, Any]:
    return {"course": course, "answer_days": settings.GRANT_ANSWER_WORKING_DAYS}

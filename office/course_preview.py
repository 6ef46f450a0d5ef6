"""The page of a course that is not sold, as the shop would show it: for staff alone, and not kept.

Everybody else finds nothing here, as with an address that does not exist. Nothing of the page can
be bought: the checkout knows only what is on sale.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.second_factor import may_enter_office
from courses.course_page import page_of
from courses.covers import draw_cover
from courses.errors import CourseNotFound
from courses.models import Course

MAY_SEE = "courses.view_course"


@never_cache
@require_safe
def show(request: HttpRequest, slug: str) -> HttpResponse:
    course = _course(request, slug)
    if course.is_on_sale:
        return redirect(course)
    return render(request, "courses/course.html", {**page_of(course), "is_preview": True})


@never_cache
@require_safe
def cover(request: HttpRequest, slug: str) -> HttpResponse:
    """The drawing of a course whose own address of it is not there yet."""
    course = _course(request, slug)
    drawing = draw_cover(course.slug, course.category, course.cover_number)
    return HttpResponse(drawing, content_type="image/svg+xml")


def _course(request: HttpRequest, slug: str) -> Course:
    """Raises CourseNotFound for who may not see it, and where there is none."""
    is_staff = may_enter_office(request) and request.user.has_perm(MAY_SEE)
    found = Course.objects.filter(slug=slug).first() if is_staff else None
    if found is None:
        raise CourseNotFound(slug=slug)
    return found

"""What the page of a course, which is the same for everybody, asks about who looks at it."""

from typing import cast

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.models import User
from maaledu.limits import limit
from storefront import my_courses
from storefront.status import describe


@never_cache
@require_safe
@limit("status")
def owned_course(request: HttpRequest, slug: str) -> HttpResponse:
    """Where the signed-in owner of a course goes on; nothing for everybody else."""
    enrollment = my_courses.owned(cast("User", request.user), slug)
    if enrollment is None:
        return HttpResponse(status=204)
    view = describe(enrollment)
    label = gettext("Go to your course") if view.course_link else gettext("View your enrollment")
    return JsonResponse({"url": view.course_link or enrollment.get_absolute_url(), "label": label})

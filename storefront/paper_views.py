"""The way from a status page to the receipt or invoice, which Stripe keeps and shows."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from enrollments.errors import EnrollmentNotFound
from enrollments.models import Enrollment
from maaledu.http import add_error_headers
from maaledu.limits import limit
from maaledu.prefetching import is_prefetch
from payments import papers
from payments.errors import PaperNotFound, StripeRefused, StripeUnavailable


@require_safe
@limit("status")
def enrollment_paper(request: HttpRequest, token: str, kind: str) -> HttpResponse:
    """Lead to where Stripe shows the paper now, or say that there is none or that Stripe is out."""
    if is_prefetch(request):  # Stripe is asked for whoever wants the paper, and for nobody else
        return HttpResponse(status=204)
    enrollment = Enrollment.objects.filter(token=token).first()
    if enrollment is None:
        raise EnrollmentNotFound
    try:
        return redirect(papers.address_of(papers.payment_of(enrollment), kind))
    except (PaperNotFound, StripeUnavailable, StripeRefused) as error:
        context = {"enrollment": enrollment, "is_missing": isinstance(error, PaperNotFound)}
        page = render(request, "enrollments/paper.html", context, status=error.http_status)
        return add_error_headers(page, error)

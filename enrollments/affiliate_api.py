"""The affiliate program for programs (requirement R148): one's own figures, and joining. CSRF protection stays on."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from affiliates.errors import AlreadyAffiliate, NotAnAffiliate
from enrollments import affiliating
from enrollments.affiliate_forms import JoinForm
from enrollments.affiliate_views import affiliate_of, join, remember_browser
from enrollments.errors import SignInNeeded
from maaledu.http import limit, read_json


@require_safe
@limit("api")
def affiliate_figures(request: HttpRequest) -> HttpResponse:
    """The signed-in affiliate's code, link, status, rate, and what each currency's account comes to."""
    _needs_sign_in(request)
    affiliate = affiliate_of(request)
    if affiliate is None:
        raise NotAnAffiliate
    return JsonResponse(affiliating.figures_of(affiliate))


@require_POST
@limit("affiliate_signup")
@sensitive_variables("body", "form")
def register_affiliate(request: HttpRequest) -> HttpResponse:
    """`{"name", "taxCountry", "payoutMethod", "paypalEmail"?, "payeeName"?, "iban"?, "acceptTerms"}` -> 201 and one's figures.

    Everything else in the body is ignored.
    """
    _needs_sign_in(request)
    if affiliate_of(request):
        raise AlreadyAffiliate
    form = JoinForm.of_json(read_json(request))
    if not form.is_valid():
        raise form.refusal()
    affiliate = join(request, form)
    return remember_browser(JsonResponse(affiliating.figures_of(affiliate), status=201), affiliate)


def _needs_sign_in(request: HttpRequest) -> None:
    if not request.user.is_authenticated:
        raise SignInNeeded

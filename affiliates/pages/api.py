"""The affiliate program as JSON (requirement R148): one's own figures, and joining.

CSRF protection stays on.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from affiliates.errors import AlreadyAffiliate, NotAnAffiliate, SignInNeeded
from affiliates.middleware import mark_browser
from affiliates.models import Affiliate, Balance
from affiliates.pages.forms import JoinForm
from affiliates.pages.program import affiliate_of, join
from maaledu.http import read_json
from maaledu.limits import limit
from maaledu.money import Money, rate_text


@require_safe
@limit("api")
def affiliate_figures(request: HttpRequest) -> HttpResponse:
    """The signed-in affiliate's code, link, status, rate, and balance in each currency."""
    _needs_sign_in(request)
    affiliate = affiliate_of(request)
    if affiliate is None:
        raise NotAnAffiliate
    return JsonResponse(figures_of(affiliate))


@require_POST
@limit("affiliate_signup")
@sensitive_variables("body", "form")
def register_affiliate(request: HttpRequest) -> HttpResponse:
    """Join the program, and answer 201 with one's figures.

    The body: `{"name", "taxCountry", "payoutMethod", "paypalEmail"?, "payeeName"?, "iban"?,
    "acceptTerms"}`; everything else in it is ignored.
    """
    _needs_sign_in(request)
    if affiliate_of(request):
        raise AlreadyAffiliate
    form = JoinForm.of_json(read_json(request))
    if not form.is_valid():
        raise form.refusal()
    affiliate = join(request, form)
    response = JsonResponse(figures_of(affiliate), status=201)
    mark_browser(response, affiliate)
    return response


def _needs_sign_in(request: HttpRequest) -> None:
    if not request.user.is_authenticated:
        raise SignInNeeded


def figures_of(affiliate: Affiliate) -> dict[str, Any]:
    """Return an affiliate's figures: amounts in minor units, and as a reader expects them."""
    balances = Balance.objects.filter(affiliate_id=affiliate.pk).order_by("currency")
    return {
        "code": affiliate.code,
        "link": affiliate.link,
        "name": affiliate.name,
        "status": affiliate.status,
        "rateBasisPoints": affiliate.rate_basis_points,
        "rate": rate_text(affiliate.rate_basis_points),
        "payoutMethod": affiliate.payout_method,
        "payoutAccount": affiliate.payout_hint,
        "balances": [_balance(balance) for balance in balances],
    }


def _balance(balance: Balance) -> dict[str, Any]:
    sums = ("pending", "payable", "paid", "held")
    return {
        "currency": balance.currency,
        **{name: _amount(getattr(balance, name), balance.currency) for name in sums},
    }


def _amount(amount: int, currency: str) -> dict[str, Any]:
    return {"amount": amount, "display": str(Money(amount, currency))}

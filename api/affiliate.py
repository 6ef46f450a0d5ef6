from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_variables
from ninja import Status

from affiliates.errors import (
    AddressNotVerified,
    AlreadyAffiliate,
    InvalidJoining,
    NotAnAffiliate,
)
from affiliates.middleware import mark_browser
from affiliates.models import Affiliate, Balance
from affiliates.pages.forms import JoinForm
from affiliates.pages.program import affiliate_of, join
from api.operations import operation
from api.shapes import AffiliateFigures, Amount, Joining
from api.terms import SIGNED_IN, Terms
from maaledu.http import read_json
from maaledu.money import rate_text

SUMS = ("pending", "payable", "paid", "held")
READ = Terms(who=SIGNED_IN, scope="affiliate:read", refusals=(NotAnAffiliate,))
JOIN = Terms(
    who=SIGNED_IN,
    limit="affiliate_signup",
    scope="affiliate:write",
    makes=True,
    refusals=(InvalidJoining, AddressNotVerified, AlreadyAffiliate),
)


@operation("GET", "affiliate", terms=READ, answers={200: AffiliateFigures})
def affiliate_figures(request: HttpRequest) -> dict[str, Any]:
    """One's own figures as an affiliate: code, link, status, rate, and a balance for each currency.

    They are sums of the ledger.
    """
    affiliate = affiliate_of(request)
    if affiliate is None:
        raise NotAnAffiliate
    return figures_of(affiliate)


@operation("POST", "affiliate/register", terms=JOIN, answers={201: AffiliateFigures}, takes=Joining)
@sensitive_variables("body", "form")
def register_affiliate(request: HttpRequest, response: HttpResponse) -> Status:
    """Join the affiliate program with a verified address, and get one's figures.

    PayPal needs `paypalEmail`; a bank needs `payeeName` and `iban`. Everything that is not named
    here is ignored.
    """
    if affiliate_of(request):
        raise AlreadyAffiliate
    form = JoinForm.of_json(read_json(request))
    if not form.is_valid():
        raise form.refusal()
    affiliate = join(request, form)
    mark_browser(response, affiliate)
    return Status(201, figures_of(affiliate))


def figures_of(affiliate: Affiliate) -> dict[str, Any]:
    balances = Balance.objects.filter(affiliate_id=affiliate.pk).order_by("currency")
    return {
        "code": affiliate.code,
        "link": affiliate.link,
        "name": affiliate.name,
        "status": affiliate.status,
        "rate_basis_points": affiliate.rate_basis_points,
        "rate": rate_text(affiliate.rate_basis_points),
        "payout_method": affiliate.payout_method,
        "payout_account": affiliate.payout_hint,
        "balances": [_balance(balance) for balance in balances],
    }


def _balance(balance: Balance) -> dict[str, Any]:
    sums = {name: Amount.of(getattr(balance, name), balance.currency) for name in SUMS}
    return {"currency": balance.currency, **sums}

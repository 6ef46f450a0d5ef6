"""The affiliate program's own page, joining it, and saying where the money is to go."""

from typing import Any, cast

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from accounts.models import User
from affiliates import attribution, mails, memberships, middleware
from affiliates.attribution import FIRST_CLICK
from affiliates.commissions import CAPPED, Sale, amount_of
from affiliates.errors import AlreadyAffiliate
from affiliates.models import Affiliate
from affiliates.pages.forms import JoinForm, PayoutForm
from courses.discounts import discounted
from maaledu.db import new_id
from maaledu.limits import limit
from maaledu.money import format_money, rate_text
from maaledu.public_pages import public_page

EXAMPLE_PRICE, EXAMPLE_CURRENCY, EXAMPLE_GRANT = 49900, "usd", 50
# Kept out of error reports; nothing logs them either.
ACCOUNTS = ("iban", "paypal_email", "payee_name")
KNOWN_ALREADY = "You are in the affiliate program already."


@require_safe
@public_page
def program(request: HttpRequest) -> HttpResponse:
    """What the program is: the same page for everybody, with the figures as they are set."""
    return render(request, "affiliates/program.html", {**_program_facts(), "example": _example()})


def _program_facts() -> dict[str, Any]:
    return {
        **mails.terms(),
        "rate": rate_text(settings.AFFILIATE_RATE_BASIS_POINTS),
        "is_first_click": settings.ATTRIBUTION_MODEL == FIRST_CLICK,
        "is_capped": settings.COMMISSION_CAP == CAPPED,
        "is_immediate": settings.AFFILIATE_AUTO_APPROVE,
    }


def _example() -> dict[str, str]:
    """A course sold with a grant: the commission is reckoned by the very function that books it."""
    price = discounted(EXAMPLE_PRICE, EXAMPLE_GRANT, EXAMPLE_CURRENCY)
    sale = Sale(
        enrollment_id=new_id(),
        affiliate_id=new_id(),
        course_slug="",
        course_title="",
        base=price.list_price,
        rate_basis_points=settings.AFFILIATE_RATE_BASIS_POINTS,
        amount_paid=price.to_pay,
        currency=price.currency,
    )
    amounts = {
        "list_price": price.list_price,
        "discount": price.list_price - price.to_pay,
        "paid": price.to_pay,
        "earned": amount_of(sale),
    }
    shown = {name: format_money(amount, price.currency) for name, amount in amounts.items()}
    return {**shown, "grant": f"{EXAMPLE_GRANT} %"}


def affiliate_of(request: HttpRequest) -> Affiliate | None:
    """Return the affiliate that the signed-in person is, if any."""
    return Affiliate.objects.filter(user_id=cast("User", request.user).pk).first()


@method_decorator(limit("affiliate_signup", methods=["POST"]), name="dispatch")
@method_decorator(login_required, name="dispatch")
@method_decorator(sensitive_post_parameters(*ACCOUNTS), name="dispatch")
class JoinView(View):
    """Becoming an affiliate, for somebody signed in whose address is confirmed (requirement
    R067).
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if memberships.has_verified_address(cast("User", request.user)):
            return super().dispatch(request, *args, **kwargs)
        messages.warning(
            request, "Please confirm your e-mail address first: “Send a code” below does it."
        )
        return redirect("account_email")

    def get(self, request: HttpRequest) -> HttpResponse:
        if affiliate_of(request):
            return redirect("affiliate_dashboard")
        return self.page(request, JoinForm(initial={"name": cast("User", request.user).name}))

    def post(self, request: HttpRequest) -> HttpResponse:
        if affiliate_of(request):
            return self.known_already(request)
        form = JoinForm(request.POST)
        if not form.is_valid():
            return self.page(request, form, status=400)
        try:
            affiliate = join(request, form)
        except AlreadyAffiliate:
            if not affiliate_of(request):
                raise
            return self.known_already(request)
        messages.success(request, _welcome(affiliate))
        return remember_browser(redirect("affiliate_dashboard"), affiliate)

    def known_already(self, request: HttpRequest) -> HttpResponse:
        messages.info(request, KNOWN_ALREADY)
        return redirect("affiliate_dashboard")

    def page(self, request: HttpRequest, form: JoinForm, *, status: int = 200) -> HttpResponse:
        return render(
            request, "affiliates/join.html", {**_program_facts(), "form": form}, status=status
        )


def join(request: HttpRequest, form: JoinForm) -> Affiliate:
    return memberships.join(
        cast("User", request.user), form.joining(), network_key=attribution.network_key(request)
    )


def _welcome(affiliate: Affiliate) -> str:
    if affiliate.is_active:
        return (
            "Welcome to the affiliate program. Your link works from now on; we have sent it to you"
            " by e-mail as well."
        )
    return (
        "Thank you, we have your application. You get an e-mail as soon as somebody has looked"
        " at it."
    )


def remember_browser(response: HttpResponse, affiliate: Affiliate) -> HttpResponse:
    """Mark the affiliate's own browser, for the review of sales that are made in it."""
    middleware.set_cookie(
        response, settings.PARTNER_COOKIE_NAME, attribution.seal_partner(affiliate.code)
    )
    return response


@method_decorator(login_required, name="dispatch")
@method_decorator(sensitive_post_parameters(*ACCOUNTS), name="dispatch")
class DetailsView(View):
    """Where the money goes: shown in part, and changed by whoever has just given the password."""

    @method_decorator(reauthentication_required)
    def get(self, request: HttpRequest) -> HttpResponse:
        affiliate = affiliate_of(request)
        if affiliate is None:
            return redirect("affiliate_join")
        return self.page(
            request, affiliate, PayoutForm(initial={"method": affiliate.payout_method})
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.change(request)
        except ReauthenticationRequired:
            # Left to allauth, the form's whole content would be kept in the session, account number
            # and all.
            messages.warning(
                request,
                "Please enter the new details once more: too much time has passed since you gave"
                " your password.",
            )
            return redirect("affiliate_details")

    @method_decorator(reauthentication_required)
    def change(self, request: HttpRequest) -> HttpResponse:
        affiliate, form = affiliate_of(request), PayoutForm(request.POST)
        if affiliate is None:
            return redirect("affiliate_join")
        if not form.is_valid():
            return self.page(request, affiliate, form, status=400)
        if memberships.change_details(affiliate, form.details()):
            messages.success(
                request, "Your payout details are changed. We have sent you an e-mail about it."
            )
        else:
            messages.info(request, "These are the details we have already; nothing has changed.")
        return redirect("affiliate_details")

    def page(
        self, request: HttpRequest, affiliate: Affiliate, form: PayoutForm, *, status: int = 200
    ) -> HttpResponse:
        return render(
            request,
            "affiliates/details.html",
            {"affiliate": affiliate, "form": form},
            status=status,
        )

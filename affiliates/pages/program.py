"""The affiliate program's page, joining it, and changing the payout details."""

from typing import Any, cast

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.sign_in_codes import in_person
from affiliates import attribution, mails, memberships, middleware
from affiliates.attribution import FIRST_CLICK
from affiliates.commissions import CAPPED, earned
from affiliates.errors import AlreadyAffiliate
from affiliates.models import Affiliate
from affiliates.pages.forms import JoinForm, PayoutForm
from courses.discounts import discounted
from maaledu.limits import limit
from maaledu.money import Money, rate_text
from maaledu.public_pages import public_page

EXAMPLE_PRICE, EXAMPLE_CURRENCY, EXAMPLE_GRANT = 49900, "usd", 50
# Django leaves these fields out of error reports; nothing logs them either.
ACCOUNTS = ("iban", "paypal_email", "payee_name")
WELCOME = _(
    "Welcome to the affiliate program. Your link works from now on; we have sent it to you by"
    " e-mail as well."
)
APPLIED = _(
    "Thank you, we have your application. You get an e-mail as soon as somebody has looked at it."
)


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


def _example() -> dict[str, Any]:
    """Return a sale with a grant, its commission by the function that books commissions."""
    price = discounted(EXAMPLE_PRICE, EXAMPLE_GRANT, EXAMPLE_CURRENCY)
    rate = settings.AFFILIATE_RATE_BASIS_POINTS
    return {
        "list_price": Money(price.list_price, price.currency),
        "grant": f"{EXAMPLE_GRANT} %",
        "discount": Money(price.discount, price.currency),
        "paid": Money(price.to_pay, price.currency),
        "earned": Money(earned(price.list_price, rate, paid=price.to_pay), price.currency),
    }


def affiliate_of(request: HttpRequest) -> Affiliate | None:
    """Return the affiliate that the signed-in person is, if any."""
    return Affiliate.objects.filter(user_id=cast("User", request.user).pk).first()


@method_decorator(limit("affiliate_signup", methods=["POST"]), name="dispatch")
@method_decorator(login_required, name="dispatch")
@method_decorator(sensitive_post_parameters(*ACCOUNTS), name="dispatch")
class JoinView(View):
    """Joining the program, for a user with a confirmed address (requirement R067)."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if memberships.has_verified_address(cast("User", request.user)):
            return super().dispatch(request, *args, **kwargs)
        messages.warning(
            request,
            gettext("Please confirm your e-mail address first: “Send a code” below does it."),
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
        messages.success(request, WELCOME if affiliate.is_active else APPLIED)
        response = redirect("affiliate_dashboard")
        middleware.mark_browser(response, affiliate)
        return response

    def known_already(self, request: HttpRequest) -> HttpResponse:
        messages.info(request, AlreadyAffiliate.message)
        return redirect("affiliate_dashboard")

    def page(self, request: HttpRequest, form: JoinForm, *, status: int = 200) -> HttpResponse:
        return render(
            request, "affiliates/join.html", {**_program_facts(), "form": form}, status=status
        )


def join(request: HttpRequest, form: JoinForm) -> Affiliate:
    return memberships.join(
        cast("User", request.user), form.joining(), network_key=attribution.network_key(request)
    )


@method_decorator(login_required, name="dispatch")
@method_decorator(in_person, name="dispatch")
@method_decorator(sensitive_post_parameters(*ACCOUNTS), name="dispatch")
class DetailsView(View):
    """The payout details: shown in part, and changed only right after entering the password.

    Whoever has none signs in by a code again: a session alone does not move where money goes.
    """

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
            # Caught here because allauth would store the whole form in the session, account number
            # included.
            messages.warning(
                request,
                gettext(
                    "Please enter the new details once more: too much time has passed since you"
                    " gave your password."
                ),
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
                request,
                gettext("Your payout details are changed. We have sent you an e-mail about it."),
            )
        else:
            messages.info(
                request, gettext("These are the details we have already; nothing has changed.")
            )
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

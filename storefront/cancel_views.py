"""Where Stripe's "back" leads: the checkout is still open, and its buyer may cancel it."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views import View

from enrollments.models import Enrollment
from maaledu.limits import limit
from payments import checkout
from payments.errors import StripeRefused, StripeUnavailable
from storefront.status import describe
from storefront.views import enrollment_of, status_of


@method_decorator(limit("status"), name="dispatch")
class CancelledView(View):
    """Ask by GET, which a browser may send ahead, and cancel by POST."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        context = status_of(request, token)
        if context["enrollment"].status == Enrollment.PAID:
            return redirect(context["enrollment"])
        return render(request, "checkout/cancelled.html", context)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        enrollment = enrollment_of(token)
        is_known = False
        # When Stripe fails, the sweep ends the checkout later; the page says that it is not known.
        with suppress(StripeUnavailable, StripeRefused):
            checkout.cancel(enrollment)
            is_known = True
        if enrollment.status == Enrollment.PAID:
            return redirect(enrollment)
        context = {
            "enrollment": enrollment,
            "view": describe(enrollment),
            "is_unknown": not is_known,
        }
        return render(request, "checkout/cancelled.html", context)

"""How a learner who has lost a link gets in again: by a mail with their links, or by a code."""

from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views import View

from accounts import sign_in_codes
from accounts.models import User
from enrollments.models import Enrollment
from maaledu.errors import AppError, RateLimited
from maaledu.http import add_error_headers
from maaledu.limits import enforce_limit, limit
from storefront import links_again, my_courses
from storefront.forms import LinksForm
from storefront.views import enrollment_of


@method_decorator(limit("links_again", methods=["POST"]), name="dispatch")
class LinksAgainView(View):
    """Send the links of an address to it; the answer is the same for any address."""

    def get(self, request: HttpRequest) -> HttpResponse:
        email = request.user.email if request.user.is_authenticated else ""
        return self.page(request, LinksForm(initial={"email": email}))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = LinksForm(request.POST)
        if not form.is_valid():
            return self.page(request, form, status=400)
        email = form.cleaned_data["email"]
        try:
            enforce_limit(request, "links_again_email", email)
        except RateLimited as error:
            form.add_error(None, error.message)
            return add_error_headers(self.page(request, form, status=error.http_status), error)
        links_again.send(email)
        return redirect(f"{reverse('links_again')}?sent=1")

    def page(self, request: HttpRequest, form: LinksForm, *, status: int = 200) -> HttpResponse:
        context = {"form": form, "is_sent": status == 200 and "sent" in request.GET}
        return render(request, "pages/links_again.html", context, status=status)


@method_decorator(limit("code_request", methods=["POST"]), name="dispatch")
class StartAccountView(View):
    """From a status page or its mail to an account: one tap, and the code that we send then."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self.page(request, token)

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        enrollment = enrollment_of(token)
        if request.user.is_authenticated:
            return self._signed_in(request, enrollment)
        user = sign_in_codes.ensure_account(enrollment.email, name=enrollment.name)
        try:
            sign_in_codes.send(request, enrollment.email, user)
        except AppError as error:
            page = self.page(request, token, status=error.http_status, error=error)
            return add_error_headers(page, error)
        return redirect(f"{reverse('account_confirm_login_code')}?next={reverse('account')}")

    def _signed_in(self, request: HttpRequest, enrollment: Enrollment) -> HttpResponse:
        if not my_courses.is_of(cast("User", request.user), enrollment):
            messages.info(
                request,
                gettext(
                    "You are signed in with another address. Add the one you enrolled with here,"
                    " and the course appears among yours."
                ),
            )
            return redirect("account_email")
        return redirect("account")

    def page(
        self, request: HttpRequest, token: str, *, status: int = 200, **more: Any
    ) -> HttpResponse:
        context = {"enrollment": enrollment_of(token), **more}
        return render(request, "accounts/start.html", context, status=status)

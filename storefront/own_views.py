"""What a signed-in learner does with what is theirs: refunds, their data, and the account."""

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.sign_in_codes import in_person
from enrollments.errors import EnrollmentNotFound
from enrollments.models import Enrollment
from maaledu.errors import AppError
from maaledu.http import add_error_headers
from maaledu.limits import limit
from payments import forgetting, learner_refunds
from storefront import my_courses, own_data
from storefront.forms import CloseForm, RefundForm
from storefront.views import enrollment_of

ASKED = _("We have your request. Somebody of our team answers by e-mail, usually in a working day.")
DELETED = _("Your account is deleted.")


@method_decorator(login_required, name="dispatch")
@method_decorator(limit("status", methods=["POST"]), name="dispatch")
class RefundView(View):
    """Ask for one's money back within the days that the shop promises."""

    def get(self, request: HttpRequest, token: str) -> HttpResponse:
        return self.page(request, _own(request, token), RefundForm())

    def post(self, request: HttpRequest, token: str) -> HttpResponse:
        enrollment, form = _own(request, token), RefundForm(request.POST)
        if not form.is_valid():
            return self.page(request, enrollment, form, status=400)
        try:
            learner_refunds.ask(enrollment, reason=form.cleaned_data["reason"])
        except AppError as error:
            return self.page(request, enrollment, form, status=error.http_status, error=error)
        messages.success(request, ASKED)
        return redirect("account")

    def page(
        self,
        request: HttpRequest,
        enrollment: Enrollment,
        form: RefundForm,
        *,
        status: int = 200,
        **more: Any,
    ) -> HttpResponse:
        asked = learner_refunds.of(enrollment)
        context = {
            "enrollment": enrollment,
            "form": form,
            "asked": learner_refunds.came_of(asked) if asked else "",
            "until": learner_refunds.may_be_asked_until(enrollment),
        }
        return render(request, "accounts/refund.html", {**context, **more}, status=status)


def _own(request: HttpRequest, token: str) -> Enrollment:
    """Return the enrollment, if it is the signed-in person's. Raises EnrollmentNotFound."""
    enrollment = enrollment_of(token)
    if not my_courses.is_of(cast("User", request.user), enrollment):
        raise EnrollmentNotFound
    return enrollment


@require_safe
@login_required
def data(request: HttpRequest) -> HttpResponse:
    """What is kept, as a file, and the way to delete the account."""
    return render(request, "accounts/data.html")


@require_safe
@limit("api")
@login_required
@in_person
def export(request: HttpRequest) -> HttpResponse:
    """Everything about the signed-in person, as a JSON file."""
    answer = JsonResponse(
        own_data.export(cast("User", request.user)),
        json_dumps_params={"indent": 2, "ensure_ascii": False},
    )
    answer["Content-Disposition"] = 'attachment; filename="my-data.json"'
    return answer


@method_decorator(limit("status", methods=["POST"]), name="dispatch")
@method_decorator(login_required, name="dispatch")
@method_decorator(in_person, name="dispatch")
class CloseView(View):
    """Delete the account, after its address was typed once more."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self.page(request, self.form(request))

    def post(self, request: HttpRequest) -> HttpResponse:
        form, user = self.form(request, request.POST), cast("User", request.user)
        if not form.is_valid():
            return self.page(request, form, status=400)
        try:
            forgetting.delete_account(user, by="its owner")
        except AppError as error:
            form.add_error(None, error.message)
            page = self.page(request, form, status=error.http_status)
            return add_error_headers(page, error)
        logout(request)
        messages.success(request, DELETED)
        return redirect("account_login")

    def form(self, request: HttpRequest, *sent: Any) -> CloseForm:
        return CloseForm(*sent, account=cast("User", request.user).email)

    def page(self, request: HttpRequest, form: CloseForm, *, status: int = 200) -> HttpResponse:
        return render(request, "accounts/close.html", {"form": form}, status=status)

from allauth.account import views
from django.forms import Form
from django.http import HttpResponse

from accounts import audit, sign_in_codes


class ConfirmLoginCodeView(views.ConfirmLoginCodeView):
    """allauth's page for the code; a right one does away with what was set before the proof."""

    def form_valid(self, form: Form) -> HttpResponse:
        user, email = self.stage.login.user, self.stage.state.get("email", "")
        if user and "code" in form.cleaned_data:  # and not only asked for once more
            sign_in_codes.forget_unproved(user, email=email)
        return super().form_valid(form)

    def form_invalid(self, form: Form) -> HttpResponse:
        if user := self.stage.login.user:
            audit.record_sign_in(self.request, user, "wrong sign-in code", refused=True)
        return super().form_invalid(form)

from allauth.account import views
from django.forms import Form
from django.http import HttpResponse

from accounts import sign_in_codes


class ConfirmLoginCodeView(views.ConfirmLoginCodeView):
    """allauth's page for the code; a right one does away with what was set before the proof."""

    def form_valid(self, form: Form) -> HttpResponse:
        user, email = self.stage.login.user, self.stage.state.get("email", "")
        if user and "code" in form.cleaned_data:  # and not only asked for once more
            sign_in_codes.forget_unproved(user, email=email)
        return super().form_valid(form)

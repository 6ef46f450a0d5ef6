"""What a learner types on their own pages: an address, or why they want their money back."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.emails import MAX_EMAIL_LENGTH, normalize_email
from accounts.forms import PersonForm
from grants.forms import TextField


class LinksForm(PersonForm):
    """The address whose links are wanted again."""

    email = forms.CharField(
        max_length=MAX_EMAIL_LENGTH,
        label=_("E-mail address"),
        error_messages={"required": _("Please enter your e-mail address.")},
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}
        ),
    )

    def clean_name(self) -> str:
        return ""


class RefundForm(forms.Form):
    """Why a learner wants their money back; they need not say."""

    reason = TextField(
        required=False,
        max_length=1000,
        label=_("What was wrong with it?"),
        help_text=_("You need not give a reason. It helps us to make the course better."),
    )


class CloseForm(forms.Form):
    """The account's own address, typed once more."""

    email = forms.CharField(
        max_length=MAX_EMAIL_LENGTH,
        label=_("E-mail address"),
        error_messages={"required": _("Enter the address of your account.")},
        widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, account: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.account = account

    def clean_email(self) -> str:
        email = normalize_email(self.cleaned_data["email"])
        if email != self.account:
            raise forms.ValidationError(gettext("This is not the address of this account."))
        return email

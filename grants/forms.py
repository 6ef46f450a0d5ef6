"""What an applicant fills in."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.emails import MAX_EMAIL_LENGTH
from accounts.forms import MAX_NAME_LENGTH, PersonForm
from grants.applications import Application
from maaledu.storable import is_storable

MAX_TEXT_LENGTH = 4000


class TextField(forms.CharField):
    """Plain text of several lines; a line break counts as one character, as in the browser."""

    def __init__(self, *, max_length: int = MAX_TEXT_LENGTH, **options: Any) -> None:
        missing = {"required": _("Please write a few sentences.")}
        super().__init__(
            max_length=max_length,
            error_messages=missing,
            widget=forms.Textarea(attrs={"rows": 5, "dir": "auto"}),
            **options,
        )

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not is_storable(text):
            raise ValidationError(gettext("Enter plain text."), code="invalid")
        return text


class ApplicationForm(PersonForm):
    name = forms.CharField(
        max_length=MAX_NAME_LENGTH,
        label=_("Name"),
        error_messages={"required": _("Please enter your name.")},
        widget=forms.TextInput(attrs={"autocomplete": "name", "dir": "auto"}),
    )
    email = forms.CharField(
        max_length=MAX_EMAIL_LENGTH,
        label=_("E-mail address"),
        help_text=_("The answer goes to this address, and the grant works with it alone."),
        error_messages={"required": _("Please enter your e-mail address.")},
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}
        ),
    )
    situation = TextField(
        label=_("Your situation"),
        help_text=_("Why the price is out of reach, and which part of it you could pay, if any."),
    )
    motivation = TextField(
        label=_("What the course is for"),
        help_text=_("What you want to do with what you learn here."),
    )
    consent = forms.BooleanField(
        label=_("Consent"),
        error_messages={"required": _("Without your consent we cannot read the application.")},
    )

    def application(self) -> Application:
        data = self.cleaned_data
        return Application(data["name"], data["email"], data["situation"], data["motivation"])

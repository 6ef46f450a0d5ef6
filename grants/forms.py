"""What an applicant fills in."""

from typing import Any

from django import forms

from accounts.emails import MAX_EMAIL_LENGTH
from accounts.forms import MAX_NAME_LENGTH, PersonForm
from grants.applications import Application
from maaledu.storable import is_storable

MAX_ESSAY = 4000


class Essay(forms.CharField):
    """Some plain text of several lines; a line break counts as one character, as in the browser."""

    def __init__(self, **options: Any) -> None:
        missing = {"required": "Please write a few sentences."}
        super().__init__(
            max_length=MAX_ESSAY,
            error_messages=missing,
            widget=forms.Textarea(attrs={"rows": 5}),
            **options,
        )

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")


class ApplicationForm(PersonForm):
    name = forms.CharField(
        max_length=MAX_NAME_LENGTH,
        error_messages={"required": "Please enter your name."},
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    email = forms.CharField(
        max_length=MAX_EMAIL_LENGTH,
        label="E-mail address",
        help_text="The answer goes to this address, and the grant works with it alone.",
        error_messages={"required": "Please enter your e-mail address."},
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}
        ),
    )
    situation = Essay(
        label="Your situation",
        help_text="Why the price is out of reach, and which part of it you could pay, if any.",
    )
    motivation = Essay(
        label="What the course is for", help_text="What you want to do with what you learn here."
    )
    consent = forms.BooleanField(
        error_messages={"required": "Without your consent we cannot read the application."},
    )

    def clean_situation(self) -> str:
        return self._essay("situation")

    def clean_motivation(self) -> str:
        return self._essay("motivation")

    def _essay(self, field: str) -> str:
        text = self.cleaned_data[field]
        if not is_storable(text):
            raise forms.ValidationError("Enter plain text.", code="invalid")
        return text

    def application(self) -> Application:
        data = self.cleaned_data
        return Application(data["name"], data["email"], data["situation"], data["motivation"])

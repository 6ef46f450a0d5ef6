"""The forms of joining and of the payout details. They never read a rate, a status or a code."""

import functools
import unicodedata
from typing import Any

import pycountry
from django import forms
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from accounts.emails import MAX_EMAIL_LENGTH, normalize_email
from accounts.forms import PersonForm, read_name
from affiliates.errors import InvalidJoining
from affiliates.memberships import Joining
from affiliates.models import Affiliate
from affiliates.payout_details import InvalidIban, PayoutDetails, read_iban

MAX_SHOWN_NAME = 80
MAX_PAYEE_NAME = 70  # what a SEPA transfer has room for
MAX_TYPED_IBAN = 60  # 34 characters, and the spaces people put between them
NEEDED = {
    Affiliate.PAYPAL: ("paypal_email",),
    Affiliate.BANK: ("payee_name", "iban"),
    Affiliate.LATER: (),
}
MISSING = {
    "paypal_email": _("Enter the e-mail address of your PayPal account."),
    "payee_name": _("Enter the name of the account's holder."),
    "iban": _("Enter the IBAN of the account."),
}
WRONG_IBAN = gettext_noop(
    "This IBAN is not complete or has a typing mistake: its check digits do not fit. Please compare"
    " it with your bank statement."
)


@functools.cache
def countries() -> list[tuple[str, str]]:
    """Return every country's code and common name, sorted by name without accents."""
    names = [
        (country.alpha_2, getattr(country, "common_name", country.name))
        for country in pycountry.countries
    ]
    return sorted(names, key=_without_accents)


def _without_accents(country: tuple[str, str]) -> str:
    characters = unicodedata.normalize("NFKD", country[1])
    return "".join(c for c in characters if not unicodedata.combining(c)).casefold()


def _choices() -> list[tuple[str, str]]:
    return [("", gettext("Choose one")), *countries()]


def _paypal(text: str) -> str:
    address = normalize_email(text)
    # A spreadsheet would run it as a formula, so it could not be written to a payout file.
    if address.startswith(("=", "+", "-", "@")):
        raise forms.ValidationError(
            gettext("Enter an address that begins with a letter or a digit."), code="invalid"
        )
    return address


def _iban(text: str) -> str:
    try:
        return read_iban("".join(text.split()))
    except InvalidIban as error:
        raise forms.ValidationError(gettext(WRONG_IBAN), code="invalid") from error


def _text(**attrs: str) -> forms.TextInput:
    return forms.TextInput(attrs={"spellcheck": "false", **attrs})


class PayoutForm(PersonForm):
    """How somebody wants to be paid; only the fields of the chosen method are read."""

    READERS = {"paypal_email": _paypal, "payee_name": read_name, "iban": _iban}

    method = forms.ChoiceField(
        choices=Affiliate.METHODS,
        label=_("How you want to be paid"),
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose how you want to be paid."),
            "invalid_choice": _("Choose how you want to be paid."),
        },
    )
    paypal_email = forms.CharField(
        max_length=MAX_EMAIL_LENGTH,
        required=False,
        label=_("E-mail address of your PayPal account"),
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}
        ),
    )
    payee_name = forms.CharField(
        max_length=MAX_PAYEE_NAME,
        required=False,
        label=_("Account holder"),
        widget=_text(autocomplete="name", dir="auto"),
    )
    iban = forms.CharField(
        max_length=MAX_TYPED_IBAN,
        required=False,
        label="IBAN",
        help_text=_("Such as GB33 BUKB 2020 1555 5555 55, with or without spaces."),
        widget=_text(autocomplete="off", autocapitalize="characters"),
    )

    def clean(self) -> dict[str, Any]:
        needed = NEEDED.get(self.cleaned_data.get("method", ""), ())
        for field in self.READERS:
            # What was typed for another method is dropped, and its errors with it.
            if field not in needed:
                self.errors.pop(field, None)
                self.cleaned_data[field] = ""
            elif field in self.cleaned_data:
                self._read(field)
        return self.cleaned_data

    def _read(self, field: str) -> None:
        text = self.cleaned_data[field]
        if not text:
            self.add_error(field, forms.ValidationError(MISSING[field], code="required"))
            return
        try:
            self.cleaned_data[field] = self.READERS[field](text)
        except forms.ValidationError as error:
            self.add_error(field, error)

    def details(self) -> PayoutDetails:
        data = self.cleaned_data
        return PayoutDetails(
            data["method"], data["payee_name"], data["iban"] or data["paypal_email"]
        )


class JoinForm(PayoutForm):
    # In the order of the page, which is that of the messages as well.
    JSON_NAMES = {
        "name": "name",
        "tax_country": "taxCountry",
        "method": "payoutMethod",
        "paypal_email": "paypalEmail",
        "payee_name": "payeeName",
        "iban": "iban",
        "accept_terms": "acceptTerms",
    }
    field_order = tuple(JSON_NAMES)

    name = forms.CharField(
        max_length=MAX_SHOWN_NAME,
        label=_("Name that buyers see"),
        help_text=_(
            "Your own, or that of your site or club. The checkout says “Referred by” and this name."
        ),
        error_messages={"required": _("Enter the name that buyers see.")},
        widget=forms.TextInput(attrs={"autocomplete": "name", "dir": "auto"}),
    )
    tax_country = forms.ChoiceField(
        choices=_choices,
        label=_("Country where you pay tax"),
        error_messages={
            "required": _("Choose the country where you pay tax."),
            "invalid_choice": _("Choose a country from the list."),
        },
        widget=forms.Select(attrs={"autocomplete": "country"}),
    )
    accept_terms = forms.BooleanField(
        label=_("Terms"), error_messages={"required": _("Please accept the terms of the program.")}
    )

    @classmethod
    def of_json(cls, body: dict[str, Any]) -> "JoinForm":
        """Read a JSON body: text for every field and `true` for the terms, else it is missing."""
        # The checkbox itself would take nearly any text for a tick.
        texts = {field: body.get(name) for field, name in cls.JSON_NAMES.items()}
        known = {field: text for field, text in texts.items() if isinstance(text, str)}
        form = cls({**known, "accept_terms": texts["accept_terms"] is True})
        for field in (*cls.READERS, "name"):
            if texts[field] is not None and field not in known:
                form.add_error(field, gettext("Enter this as text."))
        return form

    def refusal(self) -> InvalidJoining:
        """Return the form's errors as one refusal, with all messages together and by field."""
        messages = {
            self.JSON_NAMES.get(name, name): [str(message) for message in errors]
            for name, errors in self.errors.items()
        }
        error = InvalidJoining(
            " ".join(message for each in messages.values() for message in each),
            fields=sorted(messages),
        )
        error.public_details = {"fields": messages}
        return error

    def joining(self) -> Joining:
        return Joining(self.cleaned_data["name"], self.cleaned_data["tax_country"], self.details())

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from maaledu.amounts import read_amount, read_units
from maaledu.db import new_id
from maaledu.money import CURRENCY_CHOICES
from office.fields import StorableText
from office.refund_forms import NOT_COMPLETE

HIGHEST_RATE = 5000  # basis points; more than half of the price is a typing error
PERCENT_DECIMALS = 2


def _figure() -> forms.TextInput:
    return UnfoldAdminTextInputWidget(
        attrs={"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"}
    )


def _text(**options: Any) -> StorableText:
    return StorableText(
        max_length=250, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), **options
    )


class ReasonForm(forms.Form):
    reason = _text(help_text="Kept with the affiliate, for colleagues.")


class NoteForm(forms.Form):
    note = _text(required=False, help_text="What was found; kept with the signal.")


class RateForm(forms.Form):
    """A rate in percent, as a number of basis points."""

    rate = forms.CharField(
        max_length=8,
        label="Rate in percent",
        widget=_figure(),
        help_text="0 to 50, with up to two decimals.",
    )

    def clean_rate(self) -> int:
        try:
            basis_points = read_units(self.cleaned_data["rate"], PERCENT_DECIMALS)
        except ValueError:
            raise forms.ValidationError(
                "Write the rate like 12.5: digits and a point, nothing else.", code="invalid"
            ) from None
        if not 0 <= basis_points <= HIGHEST_RATE:
            raise forms.ValidationError("The rate is 0 to 50 percent.", code="invalid")
        return basis_points


class AdjustmentForm(forms.Form):
    """A correction of a balance by hand. `key` makes that one form is one entry."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=new_id)
    amount = forms.CharField(
        max_length=20,
        widget=_figure(),
        help_text="Plus is owed to the affiliate, minus is taken off.",
    )
    currency = forms.ChoiceField(choices=CURRENCY_CHOICES, widget=UnfoldAdminSelectWidget)
    note = _text(help_text="Why. The affiliate reads it with the entry.")

    def clean_key(self) -> str:
        return str(self.cleaned_data["key"])

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "key" not in data:
            self.add_error(None, NOT_COMPLETE)
        if {"amount", "currency"} <= data.keys():
            data["amount"] = self._amount(data["amount"], data["currency"])
        return data

    def _amount(self, text: str, currency: str) -> int:
        try:
            amount = read_amount(text, currency)
        except forms.ValidationError as error:
            self.add_error("amount", error)
            return 0
        if not amount:
            self.add_error("amount", "The amount cannot be 0.")
        return amount

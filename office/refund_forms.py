from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from maaledu.amounts import read_amount
from maaledu.db import new_id
from maaledu.money import Money, plain_amount
from office.fields import StorableText
from payments.errors import RefundTooLarge
from payments.models import Payment, Refund

NOT_COMPLETE = "This form is not complete. Please open it anew."


class RefundForm(forms.Form):
    """A refund of one payment, prefilled with all that is left of it.

    `key` makes one form one refund, however often it is sent.
    """

    key = forms.UUIDField(widget=forms.HiddenInput, initial=new_id)
    amount = forms.CharField(
        max_length=20,
        widget=UnfoldAdminTextInputWidget(
            attrs={"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    reason = forms.ChoiceField(
        choices=Refund.REASONS, widget=UnfoldAdminSelectWidget, help_text="Passed on to Stripe."
    )
    note = StorableText(
        max_length=300,
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="For colleagues only.",
    )
    gives_coupon_back = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, label="Reinstate the coupon"
    )

    def __init__(self, data: Any = None, *, payment: Payment) -> None:
        self.currency = payment.currency_received or payment.currency
        self.left = payment.refundable
        is_duplicate = payment.review_reason == Payment.DUPLICATE
        reason = Refund.REASONS[1 if is_duplicate else 0][0]
        amount = plain_amount(self.left, self.currency)
        super().__init__(data, initial={"amount": amount, "reason": reason})
        most = Money(self.left, self.currency)
        self.fields["amount"].label = f"Amount in {self.currency.upper()}"
        self.fields["amount"].help_text = f"At most {most}, what is left of the payment."
        if not (payment.enrollment.grant_id and payment.is_fulfilling):
            del self.fields["gives_coupon_back"]

    def clean_amount(self) -> int:
        amount = read_amount(self.cleaned_data["amount"], self.currency)
        if amount < 1:
            raise forms.ValidationError("The amount has to be more than 0.", code="min_value")
        return amount

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if "key" not in data:
            self.add_error(None, NOT_COMPLETE)
        if data.get("gives_coupon_back") and data.get("amount", self.left) < self.left:
            self.add_error("gives_coupon_back", "Only with a refund of all that is left.")
        return data

    def mark_excess(self) -> None:
        """Say at the field of a preview that the amount is too large, as a refund would."""
        if self.is_valid() and self.cleaned_data["amount"] > self.left:
            self.add_error("amount", RefundTooLarge.message)

    def amount_typed(self) -> int | None:
        """Return the amount now in the form, in minor units; None where it cannot be read."""
        try:
            return read_amount(str(self["amount"].value() or ""), self.currency)
        except forms.ValidationError:
            return None

from datetime import date

from django import forms
from django.conf import settings
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from affiliates.errors import FileWasMade
from affiliates.models import Affiliate
from maaledu.money import CURRENCIES, Money
from office.fields import ReasonForm, StorableText, date_input


def _currencies() -> list[tuple[str, str]]:
    return [
        (code, f"{code.upper()}, from {Money(settings.PAYOUT_MINIMUM, code)}")
        for code in CURRENCIES
    ]


def _today() -> date:
    return timezone.now().date()


class DraftForm(forms.Form):
    """Which payouts to draft."""

    currency = forms.ChoiceField(
        choices=_currencies,
        widget=UnfoldAdminSelectWidget,
        help_text="An affiliate who is owed less than the minimum keeps the balance.",
    )
    method = forms.ChoiceField(
        choices=Affiliate.PAYABLE_METHODS,
        widget=UnfoldAdminSelectWidget,
        help_text="A batch is one file, for the bank or for PayPal.",
    )
    payable_on = forms.DateField(
        initial=_today,
        widget=date_input(),
        help_text="What had become payable by the end of this day (UTC) is paid.",
    )

    def clean_payable_on(self) -> date:
        day = self.cleaned_data["payable_on"]
        if day > _today():
            raise forms.ValidationError(
                "Choose today or an earlier day: what becomes payable later is not known yet.",
                code="invalid",
            )
        return day


class ReleaseForm(forms.Form):
    """`seen` is the batch's count and sum on the page: nobody releases what they did not see."""

    seen = forms.CharField(widget=forms.HiddenInput)


class ReferenceForm(forms.Form):
    reference = StorableText(
        max_length=80,
        error_messages={"required": "Enter the reference of the bank or of PayPal."},
        help_text="What the bank or PayPal calls this payment. Affiliates see it.",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


def _tick(label: str) -> forms.BooleanField:
    return forms.BooleanField(
        label=label, widget=UnfoldBooleanWidget, error_messages={"required": FileWasMade.message}
    )


class NotSentForm(ReasonForm):
    """Cancels a batch whose file was made: the bank must not pay it as well."""

    not_sent = _tick("The file was not sent to the bank or to PayPal")


class NotPaidForm(ReasonForm):
    """Cancels one payout of such a batch."""

    not_sent = _tick("This payout was not sent to the bank or to PayPal, or it came back")

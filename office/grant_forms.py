from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from courses.discounts import MAX_PERCENT, MIN_PERCENT
from grants import messages
from grants.applications import Decision
from grants.models import Grant, MessageTemplate, Program
from maaledu.amounts import read_amount
from maaledu.money import Money, plain_amount
from office.fields import StorableText, date_input

LONGEST_LIFETIME = timedelta(days=3650)  # ten years
NO_PROGRAM = "None: no budget is charged"


def _default_expiry() -> date:
    return timezone.now().date() + settings.GRANT_DEFAULT_LIFETIME


def _template(used_for: str) -> forms.ModelChoiceField:
    return forms.ModelChoiceField(
        MessageTemplate.objects.filter(used_for=used_for),
        required=False,
        empty_label="None",
        label="Message",
        help_text="Sent to the applicant, with the note below it.",
        widget=UnfoldAdminSelectWidget,
    )


def _note(used_for: str) -> forms.CharField:
    widget = UnfoldAdminTextareaWidget(attrs={"rows": 2})
    words = ", ".join(f"{{{word}}}" for word in messages.WORDS[used_for])
    return StorableText(
        max_length=messages.LONGEST,
        required=False,
        widget=widget,
        help_text=f"Sent to the applicant. Filled in: {words}.",
    )


def message_in(data: dict[str, Any]) -> str:
    """Return what is sent: the words of the template, then the note."""
    template = data.get("template")
    return "\n\n".join(filter(None, (template.text if template else "", data.get("note", ""))))


class WithEnd(forms.Form):
    """The last day of a coupon: a day to come, and not one that is only mistyped."""

    expires_on = forms.DateField(initial=_default_expiry, widget=date_input())

    def clean_expires_on(self) -> date:
        day, today = self.cleaned_data["expires_on"], timezone.now().date()
        if day <= today:
            raise forms.ValidationError("Choose a day in the future.", code="invalid")
        if day > today + LONGEST_LIFETIME:
            raise forms.ValidationError("Choose a day within ten years.", code="invalid")
        return day


class DecisionForm(WithEnd):
    """An approval by staff; also for many applications at once."""

    field_order: Iterable[str] = ("percent", "expires_on")

    percent = forms.IntegerField(
        min_value=MIN_PERCENT,
        max_value=MAX_PERCENT,
        initial=MAX_PERCENT,
        help_text="10 to 100; 100 is free.",
        widget=UnfoldAdminIntegerFieldWidget,
    )
    program = forms.ModelChoiceField(
        Program.objects.filter(is_active=True),
        required=False,
        empty_label=NO_PROGRAM,
        help_text="Whose budget pays. Without a program nothing limits what is given away.",
        widget=UnfoldAdminSelectWidget,
    )
    template = _template(MessageTemplate.APPROVAL)
    note = _note(MessageTemplate.APPROVAL)

    def program_chosen(self) -> Program | None:
        """Return the program now in the form; None for none, and for one that does not exist."""
        try:
            chosen: Program | None = self.fields["program"].clean(self["program"].value())
        except forms.ValidationError:
            return None
        return chosen

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        until, message = end_of(data["expires_on"]), message_in(data)
        return {"decision": Decision(data["percent"], until, data["program"], message)}


class RejectionForm(forms.Form):
    reason = forms.ChoiceField(
        choices=Grant.REASONS, widget=UnfoldAdminSelectWidget, help_text="Sent to the applicant."
    )
    template = _template(MessageTemplate.REJECTION)
    note = _note(MessageTemplate.REJECTION)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        return data if self.errors else {"reason": data["reason"], "note": message_in(data)}


class ExtensionForm(WithEnd):
    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        return data if self.errors else {"until": end_of(data["expires_on"])}


class ProgramForm(forms.ModelForm):
    """A program whose budget is typed as people write it: 500.00 in dollars, 500 in yen.

    A budget is never less than what is committed already.
    """

    budget_amount = forms.CharField(
        max_length=20,
        required=False,
        empty_value=None,
        label="Budget",
        help_text="In the program's currency, such as 5000.00; empty: no limit.",
        widget=UnfoldAdminTextInputWidget(
            attrs={"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"}
        ),
    )

    class Meta:
        model = Program
        fields = (
            "name",
            "currency",
            "budget_amount",
            "budget_grants",
            "is_active",
            "for_whom",
            "decided_how",
            "closes_on",
        )
        labels = {"decided_how": "How it is decided", "closes_on": "Applications until"}
        help_texts = {
            "for_whom": "Who should apply, as applicants read it. Empty: it is not shown to them.",
            "decided_how": "Who reads the applications, and what counts.",
            "closes_on": "The last day. Empty: no end.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        program = self.instance
        if program.budget_amount is not None:
            self.initial["budget_amount"] = plain_amount(program.budget_amount, program.currency)

    @property
    def changed_data(self) -> list[str]:
        """Count the budget as changed with its currency: the same digits mean another amount."""
        changed = super().changed_data
        if "currency" in changed and "budget_amount" not in changed:
            return [*changed, "budget_amount"]
        return changed

    def shown_values(self, name: str) -> tuple[str, str] | None:
        """Return a budget before and after for the change log, with its currency."""
        if name != "budget_amount":
            return None
        currency = self.cleaned_data.get("currency", self.instance.currency)
        before, after = self.initial.get(name), self.cleaned_data[name]
        typed_in = self.initial.get("currency", currency).upper()
        return (
            f"{before} {typed_in}" if before else "",
            "" if after is None else f"{plain_amount(after, currency)} {currency.upper()}",
        )

    def clean_budget_amount(self) -> int | None:
        typed = self.cleaned_data["budget_amount"]
        if typed is None:
            return None
        amount = read_amount(typed, self.cleaned_data.get("currency", self.instance.currency))
        if amount < 0:
            raise forms.ValidationError("The budget has to be 0 or more.", code="min_value")
        if "budget_amount" in self.changed_data and amount < self.instance.committed_amount:
            committed = Money(self.instance.committed_amount, self.instance.currency)
            raise _committed(f"{committed} is")
        return amount

    def clean_budget_grants(self) -> int | None:
        grants: int | None = self.cleaned_data["budget_grants"]
        committed = self.instance.committed_grants
        if grants is not None and "budget_grants" in self.changed_data and grants < committed:
            raise _committed(f"{committed} are")
        return grants


def _committed(what: str) -> forms.ValidationError:
    sentence = f"{what} committed already: not less, or revoke coupons first."
    return forms.ValidationError(sentence, code="committed")


def end_of(day: date) -> datetime:
    """Return the last second of a day: a coupon is valid on the whole of its last day."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=timezone.get_current_timezone())

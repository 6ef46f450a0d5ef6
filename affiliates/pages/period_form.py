"""The period of the dashboard's funnel: two days of an affiliate's choice."""

from typing import Any

from django import forms

from affiliates import visits
from affiliates.pages.figures import Period

LONGEST_DAYS = 366


def _day(label: str, name: str) -> forms.DateField:
    return forms.DateField(
        label=label,
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={
            "required": f"Choose the {name} day.",
            "invalid": f"Enter the {name} day as 2026-11-29.",
        },
        input_formats=["%Y-%m-%d"],
    )


class PeriodForm(forms.Form):
    since = _day("From", "first")
    until = _day("To", "last")

    def clean(self) -> dict[str, Any]:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if not (since and until):
            return self.cleaned_data
        if since > until:
            raise forms.ValidationError("The first day is after the last one.")
        if until > visits.today():
            raise forms.ValidationError("The last day is still to come.")
        if Period(since, until).length > LONGEST_DAYS:
            raise forms.ValidationError(f"Choose at most {LONGEST_DAYS} days.")
        return self.cleaned_data

    def period(self) -> Period:
        return Period(self.cleaned_data["since"], self.cleaned_data["until"])

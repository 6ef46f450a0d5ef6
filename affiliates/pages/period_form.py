"""The period of the dashboard's funnel: two days of an affiliate's choice."""

from typing import Any

from django import forms
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from affiliates import visits
from affiliates.pages.figures import Period

LONGEST_DAYS = 366


class PeriodForm(forms.Form):
    since = forms.DateField(
        label=_("From"),
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={
            "required": _("Choose the first day."),
            "invalid": _("Enter the first day as 2026-11-29."),
        },
        input_formats=["%Y-%m-%d"],
    )
    until = forms.DateField(
        label=_("To"),
        widget=forms.DateInput(attrs={"type": "date"}),
        error_messages={
            "required": _("Choose the last day."),
            "invalid": _("Enter the last day as 2026-11-29."),
        },
        input_formats=["%Y-%m-%d"],
    )

    def clean(self) -> dict[str, Any]:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if not (since and until):
            return self.cleaned_data
        if since > until:
            raise forms.ValidationError(gettext("The first day is after the last one."))
        if until > visits.today():
            raise forms.ValidationError(gettext("The last day is still to come."))
        if Period(since, until).length > LONGEST_DAYS:
            words = ngettext("Choose at most %d day.", "Choose at most %d days.", LONGEST_DAYS)
            raise forms.ValidationError(words % LONGEST_DAYS)
        return self.cleaned_data

    def period(self) -> Period:
        return Period(self.cleaned_data["since"], self.cleaned_data["until"])

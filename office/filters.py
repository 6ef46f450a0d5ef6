"""Filters of the office's lists. None reads its choices from the table that it filters."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter

from office.fields import date_input


class DaysForm(forms.Form):
    """The first and the last day, by the browser's own control and with names that are read."""

    def __init__(self, name: str, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for end, words in (("from", "From"), ("to", "To and with")):
            field = forms.DateField(label=words, required=False, widget=date_input())
            field.widget.attrs["aria-label"] = f"{words} (day in UTC)"
            self.fields[f"{name}_{end}"] = field


class DaysFilter(RangeDateFilter):
    """By days in UTC: unfold's own leaves out the last day of a moment, and needs scripts."""

    form_class = DaysForm

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self._day("from"), self._day("to")
        if first:
            queryset = queryset.filter(**{f"{self.field_path}__gte": _midnight(first)})
        if last:
            after = _midnight(last) + timedelta(days=1)
            queryset = queryset.filter(**{f"{self.field_path}__lt": after})
        return queryset

    def _day(self, end: str) -> date | None:
        text = self.used_parameters.get(f"{self.field_path}_{end}")
        try:
            return date.fromisoformat(str(text)) if text else None
        except ValueError:
            return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


class FixedFilter(admin.SimpleListFilter):
    """By the values of one column that are declared: see `fixed`."""

    values: tuple[tuple[str, str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(self.values)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(**{str(self.parameter_name): chosen}) if chosen else queryset


def fixed(
    column: str, values: Iterable[str | tuple[str, str]], title: str = ""
) -> type[FixedFilter]:
    """Return a filter by these values of a column, each a code or a code with its words."""
    pairs = tuple(
        (each, each.replace("_", " ")) if isinstance(each, str) else each for each in values
    )
    words = title or column.replace("_", " ")
    fields = {"title": words, "parameter_name": column, "values": pairs}
    return type("FixedFilter", (FixedFilter,), fields)


class NamedFilter(admin.SimpleListFilter):
    """By one question with a name: `method` is that of the model's QuerySet which answers it."""

    question: tuple[str, str] = ("", "")
    method = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [self.question]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Any]:
        if self.value() != self.question[0]:
            return queryset
        return self.kept(queryset)

    def kept(self, queryset: Any) -> QuerySet[Any]:
        return getattr(queryset, self.method)()

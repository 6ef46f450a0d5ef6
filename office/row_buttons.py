"""A column of a list with the decisions that are one click away in each of its rows.

What needs no confirmation is a button of a form outside the list's own, `decide-<name>`; anything
else is a link to its page, which leads back to the list. The framework's own actions of a row are
behind a menu, and do not know which row offers them.
"""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

CLASSES = "font-medium text-primary-600 underline cursor-pointer dark:text-primary-400"


@dataclass(frozen=True)
class RowButtons:
    """What may be decided in a row, as a column that Django shows like any other callable."""

    page: Any
    request: HttpRequest
    short_description = "what to do"
    __name__ = "what_to_do"

    def __call__(self, row: Any) -> SafeString:
        offered = [
            self._button(name, row)
            for name in self.page.row_decisions
            if self.page.is_shown(self.request, name, row)
        ]
        return format_html_join(" ", "{}", ((each,) for each in offered))

    def _button(self, name: str, row: Any) -> SafeString:
        decision, opts = self.page.decisions[name], self.page.opts
        label = f"{decision.label}: {row}"
        if not decision.needs_confirmation:
            return format_html(
                '<button type="submit" form="decide-{}" name="_selected_action" value="{}"'
                ' class="{}" aria-label="{}">{}</button>',
                name,
                row.pk,
                CLASSES,
                label,
                decision.label,
            )
        url = reverse(f"admin:{opts.app_label}_{opts.model_name}_{name}", args=[row.pk])
        back = urlencode({"back": self.request.get_full_path()})
        return format_html(
            '<a href="{}?{}" class="{}" aria-label="{}">{}</a>',
            url,
            back,
            CLASSES,
            label,
            decision.label,
        )

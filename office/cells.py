"""What a cell of a list shows: links to other pages of the office, colored words, and days."""

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db import models
from django.urls import reverse
from django.utils.dateformat import format as format_date
from django.utils.html import conditional_escape, format_html

from enrollments.models import Enrollment

OF_STRIPE = "evt_"
ACCESS_WORDS = {
    Enrollment.LMS_SUCCESS: "has access",
    Enrollment.LMS_FAILED: "no access",
    Enrollment.LMS_LOST: "access lost",
    Enrollment.LMS_REVOKED: "access taken away",
    Enrollment.LMS_AWAITING: "waits for the learner's account",
}


class Coded(tuple[str, str]):
    """A code, by which a list colors a cell, and the words that it shows, as a row's page does."""

    __slots__ = ()

    def __html__(self) -> str:
        return conditional_escape(self[1])


def link(url: str, text: Any) -> str:
    return format_html(
        '<a class="text-primary-600 underline dark:text-primary-400" href="{}">{}</a>', url, text
    )


def url_of(row: models.Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def enrollment_link(enrollment_id: UUID | None, text: str = "") -> str:
    if enrollment_id is None:
        return text
    url = reverse("admin:enrollments_enrollment_change", args=[enrollment_id])
    return link(url, text or "View enrollment")


def once(ask: Callable[..., Any]) -> Any:
    """Have something asked of a row once: unfold asks for each cell of a page five times.

    The row, which keeps the answer, is the last argument.
    """

    @functools.wraps(ask)
    def kept(*arguments: Any) -> Any:
        answers = arguments[-1].__dict__.setdefault("_answers", {})
        if ask not in answers:
            answers[ask] = ask(*arguments)
        return answers[ask]

    return kept


def coded(name: str, description: str) -> Any:
    """Return a column that shows the code in a field, such as one of Stripe's, in plain words."""

    @admin.display(description=description, ordering=name)
    def shown(page: Any, row: Any) -> str:
        return getattr(row, name).replace("_", " ") or "-"

    return shown


def actor_words(actor: str) -> str:
    """Return who did it: an event of Stripe's is named by its id, which tells nobody anything."""
    return "Stripe" if actor.startswith(OF_STRIPE) else actor


def access_words(enrollment: Enrollment) -> str:
    return ACCESS_WORDS.get(enrollment.lms_status, "access on its way")


def day(moment: datetime) -> str:
    return format_date(moment, "M j, Y")

"""The decisions about a course's cover: to upload one, and to show the drawn one again."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.template.loader import render_to_string
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminTextInputWidget

from courses import pictures, uploaded_covers
from courses.errors import CoverRefused
from courses.models import Course
from office.decisions import NOBODY, ONE_ROW, Decision
from office.fields import FormWithFile

ALT_LENGTH = 140


class CoverForm(FormWithFile, forms.Form):
    picture = forms.FileField(
        label="Picture",
        help_text=(
            f"JPEG, PNG or WebP of at most {pictures.MOST_BYTES // 1024**2} MB and at least"
            f" {pictures.SMALL_COVER[0]} × {pictures.SMALL_COVER[1]} pixels. What is outside of"
            " 8:5 is cut off."
        ),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": "image/jpeg,image/png,image/webp"}),
    )
    alt = forms.CharField(
        label="What is to be seen on it",
        max_length=ALT_LENGTH,
        required=False,
        help_text="For those who do not see it. Empty, where it is only decoration.",
        widget=UnfoldAdminTextInputWidget,
    )


def _set(course: Course, *, picture: UploadedFile, alt: str) -> None:
    try:
        uploaded_covers.set_cover(course, picture, size=picture.size or 0, alt=alt)
    except ValidationError as error:
        raise CoverRefused(" ".join(error.messages)) from error


class AboutCover(Decision):
    """Shows the cover as it is now."""

    def context(self, request: HttpRequest, rows: list[Course], form: Any) -> dict[str, Any]:
        return {"rows": [(course, [("Cover now", shown(course))]) for course in rows]}


class CoverDecision(AboutCover):
    def make_form(self, rows: list[Any], data: Any) -> forms.Form:
        return self.form(data, initial={"alt": rows[0].cover_alt})

    def add_refusal(self, form: Any, error: Any) -> None:
        form.add_error("picture", error.message)


def shown(course: Course) -> str:
    """Return the cover with its alternative text, for the course's page in the office."""
    return render_to_string("admin/courses/cover.html", {"course": course})


SET_COVER = CoverDecision(
    "Upload a cover",
    run=_set,
    permission="change",
    done="given another cover",
    form=CoverForm,
    button="Show this cover",
    consequence=(
        "It is shown in the catalogue, on the course page and beside links to it. The picture is"
        " made anew: where and with what it was taken is not kept."
    ),
    run_by=NOBODY,
    scope=ONE_ROW,
)
REMOVE_COVER = AboutCover(
    "Remove the cover",
    run=uploaded_covers.remove_cover,
    permission="change",
    done="shown with its drawn cover again",
    consequence="The drawn cover is shown again. The picture itself is deleted a day later.",
    run_by=NOBODY,
    scope=ONE_ROW,
)

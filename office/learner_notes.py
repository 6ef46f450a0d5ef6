"""Notes of staff about a learner, by the address; shown on the learner's page."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from accounts.emails import normalize_email
from accounts.models import LearnerNote
from office.base import ReadOnlyAdmin
from office.decisions import LIST, Decision, Outcome
from office.fields import StorableText

LONGEST_NOTE = 2000


class AddressForm(forms.Form):
    """A form about a learner: who it is, as staff typed it."""

    email = forms.CharField(
        label="E-mail address of the learner",
        max_length=140,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "email", "spellcheck": "false"}),
    )

    def clean_email(self) -> str:
        return normalize_email(self.cleaned_data["email"])


class NoteForm(AddressForm):
    text = StorableText(
        label="Note",
        max_length=LONGEST_NOTE,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="For colleagues only. It is not changed or deleted later.",
    )


class AboutLearner(Decision):
    """A decision about an address, which the learner's page fills in."""

    def context(self, request: HttpRequest, rows: list[Any], form: Any) -> dict[str, Any]:
        form.initial.setdefault("email", request.GET.get("email", ""))
        return {}


def _add(*, by: str, email: str, text: str) -> Outcome:
    note = LearnerNote.objects.create(email=email, text=text, written_by=by)
    return Outcome("added", "The note is kept.", row=note)


NOTE = AboutLearner(
    "Add a note",
    run=_add,
    permission="accounts.add_learnernote",
    done="added",
    form=NoteForm,
    scope=LIST,
)


@admin.register(LearnerNote)
class LearnerNoteAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "email", "text", "written_by")
    search_fields = ("=email",)
    ordering = ("-created_at",)
    decisions = {"note": NOTE}

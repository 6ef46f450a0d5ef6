"""Form fields of the office."""

from typing import Any

from django import forms
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextareaWidget

from maaledu.storable import is_storable

MAX_REASON = 150  # with the address of whoever says so, it fits into a note
CHOOSE_AGAIN = "Choose the file again, too: a browser sends it once only."


def date_input() -> forms.DateInput:
    return forms.DateInput(
        format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}
    )


class StorableText(forms.CharField):
    """A text that every database can store: PostgreSQL takes no NUL, for example."""

    def to_python(self, value: Any) -> str:
        text = (super().to_python(value) or "").replace("\r\n", "\n")
        if not is_storable(text):
            raise forms.ValidationError("Enter plain text.", code="invalid")
        return text


class ReasonForm(forms.Form):
    reason = StorableText(
        max_length=MAX_REASON,
        error_messages={"required": "Say why: colleagues read it later."},
        help_text="For colleagues; it is kept.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )


class FormWithFile(forms.BaseForm):
    """Says at a file that it has to be chosen again, where something else is refused."""

    def full_clean(self) -> None:
        super().full_clean()
        if self.errors:
            self.ask_for_files_again()

    def ask_for_files_again(self) -> None:
        chosen = [name for name in self.fields if self.add_prefix(name) in self.files]
        for name in chosen:
            if name not in self.errors:
                self.add_error(name, forms.ValidationError(CHOOSE_AGAIN, code="lost"))

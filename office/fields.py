"""Form fields of the office."""

from typing import Any

from django import forms
from unfold.widgets import INPUT_CLASSES

from maaledu.storable import is_storable


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

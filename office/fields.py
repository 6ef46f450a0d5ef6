"""Form fields of the office."""

from typing import Any

from django import forms
from unfold.widgets import INPUT_CLASSES

from maaledu.storable import is_storable


def _date_input() -> forms.DateInput:
    return forms.DateInput(
        format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}
    )


class Words(forms.CharField):
    """Some words that every database can store."""

    def to_python(self, value: Any) -> str:
        text = (super().to_python(value) or "").replace("\r\n", "\n")
        if not is_storable(text):
            raise forms.ValidationError("Enter plain text.", code="invalid")
        return text

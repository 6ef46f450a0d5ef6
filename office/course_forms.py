from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from courses.models import Course
from maaledu.amounts import read_amount
from maaledu.money import plain_amount


class CourseForm(forms.ModelForm):
    """A course whose price is typed as people write it: 499.00 in dollars, 5000 in yen."""

    price = forms.CharField(
        max_length=20,
        help_text="In the course's currency, such as 499.00. 0 is free.",
        widget=UnfoldAdminTextInputWidget(
            attrs={"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"}
        ),
    )

    class Meta:
        model = Course
        fields = ("price", "currency")  # the admin names the others

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.price is not None:
            self.initial["price"] = plain_amount(self.instance.price, self.instance.currency)

    @property
    def changed_data(self) -> list[str]:
        """Count the price as changed with its currency: the same digits mean another amount."""
        changed = super().changed_data
        return [*changed, "price"] if "currency" in changed and "price" not in changed else changed

    def shown_values(self, name: str) -> tuple[str, str] | None:
        """Return an amount before and after for the change log, with its currency."""
        if name != "price":
            return None
        before = f"{self.initial.get('price', '')} {self.initial.get('currency', '').upper()}"
        currency = self.cleaned_data["currency"]
        amount = plain_amount(self.cleaned_data["price"], currency)
        return before.strip(), f"{amount} {currency.upper()}"

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if {"price", "currency"} <= data.keys():
            try:
                data["price"] = read_amount(data["price"], data["currency"])
            except forms.ValidationError as error:
                self.add_error("price", error)
        return data

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from courses import outline
from courses.models import Course
from courses.profiles import InstructorProfile
from maaledu.amounts import read_amount
from maaledu.money import plain_amount
from office.fields import StorableText
from office.rows import Part, Rows, RowsField, RowsForm, shown_changes

LESSONS = Rows("lesson", outline.MOST_LESSONS, outline.LONGEST)
ROWS = {
    "outcomes": Rows("outcome", outline.MOST_OUTCOMES, outline.LONGEST),
    "syllabus": Rows(
        "module",
        outline.MOST_MODULES,
        outline.LONGEST,
        parts=(Part("title", "Title"),),
        inner_name="lessons",
        inner=LESSONS,
    ),
    "instructors": Rows(
        "instructor",
        outline.MOST_INSTRUCTORS,
        outline.LONGEST,
        parts=(Part("name", "Name"), Part("role", "Role")),
    ),
}
MOST_SUGGESTED = 200


class CourseForm(RowsForm):
    """A course whose price is typed as people write it: 499.00 in dollars, 5000 in yen."""

    price = forms.CharField(
        max_length=20,
        help_text="In the course's currency, such as 499.00. 0 is free.",
        widget=UnfoldAdminTextInputWidget(
            attrs={"inputmode": "decimal", "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    outcomes = RowsField(ROWS["outcomes"], help_text="What a learner can do afterwards.")
    syllabus = RowsField(ROWS["syllabus"], help_text="Modules in their order, each with lessons.")
    instructors = RowsField(
        ROWS["instructors"],
        help_text="Who has a profile under this very name is shown with portrait and biography.",
    )

    class Meta:
        model = Course
        fields = ("price", "currency")  # the admin names the others
        # A browser ends lines otherwise than we keep them: that is no change of the text.
        field_classes = {"description": StorableText, "sample_text": StorableText}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.price is not None:
            self.initial["price"] = plain_amount(self.instance.price, self.instance.currency)
        if "instructors" in self.fields:
            names = InstructorProfile.objects.order_by("name").values_list("name", flat=True)
            widget: Any = self.fields["instructors"].widget
            widget.suggestions = list(names[:MOST_SUGGESTED])

    @property
    def changed_data(self) -> list[str]:
        """Count the price as changed with its currency: the same digits mean another amount."""
        changed = super().changed_data
        return [*changed, "price"] if "currency" in changed and "price" not in changed else changed

    def shown_values(self, name: str) -> tuple[str, str] | None:
        """Return amounts with their currency, and of rows what is gone and what is new."""
        if name in ROWS:
            before = self.initial.get(name) or []
            return shown_changes(ROWS[name], before, self.cleaned_data[name])
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

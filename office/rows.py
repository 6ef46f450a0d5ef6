"""Rows in a form, such as the modules of a syllabus: added, moved and removed by plain buttons.

A button sends the whole form, with what is to be done as `row`, for example `up syllabus-2`. The
form is then shown again as it was typed, with the rows as they are to be, and nothing is saved.
With scripts, htmx replaces the rows alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.utils import ErrorDict
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

BUTTON = "row"
ADD, UP, DOWN, REMOVE = "add", "up", "down", "remove"


@dataclass(frozen=True)
class Part:
    """One text of a row."""

    name: str
    label: str


@dataclass(frozen=True)
class Rows:
    """What each row of a list is: a text, or an object of texts and maybe of rows of its own."""

    noun: str
    most: int  # rows, of all lists of this kind together
    longest: int  # characters of a text
    parts: tuple[Part, ...] = ()  # none: a row is one text
    inner_name: str = ""
    inner: "Rows | None" = None

    @property
    def blank(self) -> Any:
        if not self.parts:
            return ""
        row: dict[str, Any] = {part.name: "" for part in self.parts}
        return {**row, self.inner_name: []} if self.inner else row

    def read(self, data: Mapping[str, Any], path: str) -> list[Any]:
        """Return the rows as they were typed, blank ones too."""
        return [self._read_row(data, f"{path}-{number}") for number in _numbers(data, path)]

    def _read_row(self, data: Mapping[str, Any], path: str) -> Any:
        if not self.parts:
            return data.get(path, "")
        row: dict[str, Any] = {
            part.name: data.get(f"{path}-{part.name}", "") for part in self.parts
        }
        if self.inner:
            row[self.inner_name] = self.inner.read(data, f"{path}-{self.inner_name}")
        return row

    def tidy(self, rows: list[Any]) -> list[Any]:
        """Return the rows without spaces around their texts, and without the blank ones."""
        return [row for row in map(self._tidy_row, rows) if row != self.blank]

    def _tidy_row(self, row: Any) -> Any:
        if not self.parts:
            return row.strip()
        tidied = {part.name: row[part.name].strip() for part in self.parts}
        if self.inner:
            tidied[self.inner_name] = self.inner.tidy(row[self.inner_name])
        return tidied


def _numbers(data: Mapping[str, Any], path: str) -> list[int]:
    pattern = re.compile(rf"{re.escape(path)}-(\d{{1,3}})(?:-|$)")
    return sorted({int(found[1]) for name in data if (found := pattern.match(name))})


# --- what a button does ---------------------------------------------------------------------------
def changed(spec: Rows, rows: list[Any], verb: str, steps: list[str]) -> list[str]:
    """Change the rows as a button asks; `steps` lead to it, such as `["0", "lessons", "2"]`.

    Returns the steps to the row that is to be looked at next. What does not fit changes nothing.
    """
    if len(steps) > 1 and spec.inner and _is_there(rows, steps[0]) and steps[1] == spec.inner_name:
        inside = rows[int(steps[0])][spec.inner_name]
        return [*steps[:2], *changed(spec.inner, inside, verb, steps[2:])]
    if verb == ADD and not steps:
        rows.append(spec.blank)
        return [str(len(rows) - 1)]
    if len(steps) == 1 and _is_there(rows, steps[0]):
        return _moved(rows, verb, int(steps[0]))
    return []


def _is_there(rows: list[Any], step: str) -> bool:
    return step.isdecimal() and int(step) < len(rows)


def _moved(rows: list[Any], verb: str, number: int) -> list[str]:
    if verb == REMOVE:
        del rows[number]
        return []
    to = number + {UP: -1, DOWN: 1}.get(verb, 0)
    if 0 <= to < len(rows):
        rows.insert(to, rows.pop(number))
        return [str(to)]
    return [str(number)]


# --- the form -------------------------------------------------------------------------------------
class RowsWidget(forms.Widget):
    template_name = "admin/rows.html"

    def __init__(self, spec: Rows) -> None:
        super().__init__()
        self.spec, self.suggestions = spec, list[str]()
        self.focused = ("", "")  # the path and the verb that was just asked for there

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Any]:
        rows = self.spec.read(data, name)
        verb, _, path = str(data.get(BUTTON, "")).partition(" ")
        if path.partition("-")[0] == name:
            steps = path.split("-")[1:]
            next_steps = changed(self.spec, rows, verb, steps)
            self.focused = ("-".join([name, *next_steps]), verb)
        return rows

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False  # a list whose last row was removed is an empty list

    def id_for_label(self, id_: str) -> str:
        return ""  # each input has a label of its own

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Render our own template, which Django's renderer of widgets does not look for."""
        shown = self._list(self.spec, value or [self.spec.blank], name)
        context = {"name": name, "list": shown, "suggestions": self.suggestions}
        return render_to_string(self.template_name, context)

    def _list(self, spec: Rows, rows: list[Any], path: str) -> dict[str, Any]:
        made = [self._row(spec, row, path, number) for number, row in enumerate(rows)]
        for number, row in enumerate(made):
            row["is_last"] = number == len(made) - 1
        focused, verb = self.focused
        is_here = focused == path and verb == REMOVE
        is_full = len(rows) >= spec.most
        return {"path": path, "noun": spec.noun, "rows": made, "focus": is_here, "is_full": is_full}

    def _row(self, spec: Rows, row: Any, path: str, number: int) -> dict[str, Any]:
        own = f"{path}-{number}"
        focused, verb = self.focused
        is_new = focused == own and verb == ADD
        parts = spec.parts or (Part("", spec.noun.capitalize()),)
        inputs = [
            {
                "name": f"{own}-{part.name}" if part.name else own,
                "label": part.label,
                "value": row[part.name] if part.name else row,
                "longest": spec.longest,
                "focus": is_new and part is parts[0],
                "suggests": part.name == "name",
            }
            for part in parts
        ]
        made = {"path": own, "number": number + 1, "noun": spec.noun, "inputs": inputs}
        made["focus"] = verb if focused == own and verb in (UP, DOWN) else ""
        if spec.inner:
            inside = row[spec.inner_name]
            made["inner"] = self._list(spec.inner, inside, f"{own}-{spec.inner_name}")
        return made


class RowsField(forms.Field):
    """A list of rows; blank ones are left out."""

    widget: RowsWidget

    def __init__(self, spec: Rows, **options: Any) -> None:
        self.spec = spec
        super().__init__(required=False, widget=RowsWidget(spec), **options)

    def to_python(self, value: Any) -> list[Any]:
        return self.spec.tidy(value or [])

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.to_python(data) != (initial or [])


class RowsForm(forms.ModelForm):
    """A form with rows, which a button of theirs only shows again."""

    @property
    def is_of_rows(self) -> bool:
        return self.is_bound and BUTTON in self.data

    def full_clean(self) -> None:
        super().full_clean() if not self.is_of_rows else self._check_nothing()

    def _check_nothing(self) -> None:
        self._errors, self.cleaned_data = ErrorDict(), {}

    def is_valid(self) -> bool:
        return not self.is_of_rows and super().is_valid()


def shown_changes(spec: Rows, before: list[Any], after: list[Any]) -> tuple[str, str]:
    """Return what was taken away and what was added, in words; the whole lists where only their
    order has changed.
    """
    gone, new = ([row for row in a if row not in b] for a, b in ((before, after), (after, before)))
    if not gone and not new:
        gone, new = before, after
    return words(spec, gone), words(spec, new)


def words(spec: Rows, rows: list[Any]) -> str:
    return "; ".join(_words_of(spec, row) for row in rows)


def _words_of(spec: Rows, row: Any) -> str:
    if not spec.parts:
        return str(row)
    text = ", ".join(row[part.name] for part in spec.parts if row[part.name])
    inside = row[spec.inner_name] if spec.inner else []
    return f"{text} ({words(spec.inner, inside)})" if spec.inner and inside else text

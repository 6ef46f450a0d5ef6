"""Bodies as JSON objects of ours, and what does not fit the document as one refusal by field."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.http import HttpRequest
from ninja.parser import Parser

from api.errors import InvalidInput
from maaledu.http import read_json


class JsonObjects(Parser):
    """Read every body by the one function that knows what we can store."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        return read_json(request)


def refusal_of(errors: Iterable[Mapping[str, Any]]) -> InvalidInput:
    """Return what pydantic found as one refusal, by the field that a program has sent."""
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for error in errors:
        names = [part for part in error["loc"] if isinstance(part, str)]
        fields[names[-1]].append(f"{error['msg']}.")
    return _refusal(fields)


def refusal_of_form(form: forms.Form, names: Mapping[str, str]) -> InvalidInput:
    """Return a form's errors in the same shape; `names` are the fields as programs know them."""
    return _refusal(
        {
            names.get(name, name): [str(each) for each in found]
            for name, found in form.errors.items()
        }
    )


def _refusal(fields: Mapping[str, list[str]]) -> InvalidInput:
    error = InvalidInput(fields=sorted(fields))
    error.public_details = {"fields": dict(fields)}
    return error

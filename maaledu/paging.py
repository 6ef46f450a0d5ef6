"""Keyset pages over any queryset: each page costs the same, and no row is shown twice.

Source: decisions, "pages of lists": default 20, at most 50. The cursor is signed, so that it holds
only values that we gave out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet
from django.utils.translation import gettext_noop as _

from maaledu.errors import AppError

DEFAULT_LIMIT = settings.PAGE_SIZE
MAX_LIMIT = settings.PAGE_SIZE_MOST
MAX_CURSOR_LENGTH = 600
NEWEST_FIRST = ("-created_at", "-id")


class BadCursor(AppError):
    code = "BAD_CURSOR"
    message = _("That page is no longer there. Please start from the first one.")
    http_status = 400


@dataclass(frozen=True)
class Page:
    rows: list[Any]
    next_cursor: str
    has_more: bool


def paginate(
    queryset: QuerySet,
    *,
    cursor: str = "",
    limit: int = DEFAULT_LIMIT,
    order: Sequence[str] = NEWEST_FIRST,
) -> Page:
    """Return one page of `queryset` in `order`, in a single query.

    `order` names fields (`-` for descending) that are never null, and its last one is unique.
    `cursor` is "" for the first page, else the `next_cursor` of the page before. Raises BadCursor
    for one that was not made for such rows in this order.
    """
    rows_wanted = min(max(limit, 1), MAX_LIMIT)
    rows = list(following(queryset, cursor, order)[: rows_wanted + 1])
    has_more = len(rows) > rows_wanted
    rows = rows[:rows_wanted]
    return Page(rows, cursor_of(rows[-1], order) if has_more else "", has_more)


def following(queryset: QuerySet, cursor: str, order: Sequence[str]) -> QuerySet:
    """Return the rows after a cursor in `order`, all of them for "".

    Raises BadCursor as `paginate` does.
    """
    if cursor:
        queryset = queryset.filter(_after(queryset.model, order, cursor))
    return queryset.order_by(*order)


def backwards(order: Sequence[str]) -> list[str]:
    """Return the same order from its end: its cursors lead to the rows before."""
    return [name[1:] if name.startswith("-") else f"-{name}" for name in order]


def read_limit(text: str) -> int:
    """Return the page size a visitor asked for, at most 50; the default for anything unreadable."""
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        return DEFAULT_LIMIT
    return min(int(text) or DEFAULT_LIMIT, MAX_LIMIT)


def _signer(model: type[Model], order: Sequence[str]) -> signing.Signer:
    return signing.Signer(salt=f"maaledu.paging:{model._meta.label}:{','.join(order)}")


def cursor_of(row: Model, order: Sequence[str]) -> str:
    """Return the cursor of the rows after this one."""
    texts = [_field(type(row), name).value_to_string(row) for name in order]
    return _signer(type(row), order).sign_object(texts)


def _decode(cursor: str, model: type[Model], order: Sequence[str]) -> list[str]:
    if len(cursor) > MAX_CURSOR_LENGTH:
        raise BadCursor
    try:
        return _signer(model, order).unsign_object(cursor)
    except (signing.BadSignature, ValueError) as error:
        raise BadCursor from error


def _after(model: type[Model], order: Sequence[str], cursor: str) -> Q:
    """Match the rows after the cursor: later in the first field, or equal there and later in the
    next, and so on.
    """
    # The bound of the first field is repeated by itself: a database can enter an index there, and
    # not at the OR.
    bound, condition, equal = Q(), Q(), Q()
    for name, text in zip(order, _decode(cursor, model, order), strict=True):
        field, beyond = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        value = _read(_field(model, name), text)
        bound = bound or Q(**{f"{field}__{beyond}e": value})
        condition |= equal & Q(**{f"{field}__{beyond}": value})
        equal &= Q(**{field: value})
    return bound & condition


def _field(model: type[Model], name: str) -> Field:
    return cast("Field", model._meta.get_field(name.lstrip("-")))


def _read(field: Field, text: str) -> Any:
    try:
        return field.to_python(text)
    except ValidationError as error:
        raise BadCursor from error

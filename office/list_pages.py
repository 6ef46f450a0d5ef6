"""Pages of a list that are found by the last row of the page before: one deep down costs what the
first one costs.
"""

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import FieldDoesNotExist
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject, cached_property
from unfold.views import ChangeList

from maaledu.paging import BadCursor, backwards, cursor_of, following

AFTER, BEFORE = "after", "before"
PLACES = {PAGE_VAR, AFTER, BEFORE}


class PagedList(ChangeList):
    """A list whose address holds the row that its page begins after, or ends before.

    One that is ordered by what may be empty, or by another table, is paged by number.
    """

    pages: "KeyedPage | None" = None

    def get_queryset(self, request: HttpRequest, *args: Any) -> QuerySet[Any]:
        for name in (AFTER, BEFORE):  # no filters
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, *args)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        order = _order(self.queryset)
        if order:
            pages = self.pages = KeyedPage(self, order, request.GET)
            self.paginator.template_name = "admin/list_pages.html"
            self.result_list = SimpleLazyObject(lambda: pages.rows)


class KeyedPage:
    """The rows of one page, and the addresses of those around it; "" where there is none."""

    def __init__(self, shown: ChangeList, order: list[str], asked: Any) -> None:
        before, after = asked.get(BEFORE, ""), asked.get(AFTER, "")
        self._shown, self.order = shown, order
        self._is_before, self._is_after = bool(before), bool(after and not before)
        try:
            self._found = following(
                shown.queryset, before or after, backwards(order) if before else order
            )
        except BadCursor as error:
            raise IncorrectLookupParameters from error

    @cached_property
    def _read(self) -> list[Any]:
        """Return the rows, and one more where there is one."""
        return list(self._found[: self._shown.list_per_page + 1])

    @cached_property
    def rows(self) -> list[Any]:
        rows = self._read[: self._shown.list_per_page]
        return rows[::-1] if self._is_before else rows

    @property
    def _has_more(self) -> bool:
        return len(self._read) > self._shown.list_per_page

    @cached_property
    def is_first(self) -> bool:
        return not self._has_more if self._is_before else not self._is_after

    @property
    def number(self) -> int:
        return 1 if self.is_first else max(self._shown.page_num, 2)

    @property
    def first_url(self) -> str:
        return "" if self.is_first else self._shown.get_query_string()

    @property
    def previous_url(self) -> str:
        if self.is_first:
            return ""
        return self._url(BEFORE, backwards(self.order), 0, self.number - 1)

    @property
    def next_url(self) -> str:
        has_next = self._is_before or self._has_more
        return self._url(AFTER, self.order, -1, self.number + 1) if has_next else ""

    def _url(self, where: str, order: list[str], row: int, number: int) -> str:
        if not self.rows:
            return self._shown.get_query_string()
        cursor = cursor_of(self.rows[row], order)
        return str(self._shown.get_query_string({where: cursor, PAGE_VAR: number}))


def _order(rows: QuerySet[Any]) -> list[str]:
    """Return the columns of this order; none where one may be empty or is not the table's own."""
    opts, names = rows.model._meta, dict[str, str]()  # the first time that a column is named
    for each in map(str, rows.query.order_by):
        sign, name = ("-", each[1:]) if each.startswith("-") else ("", each)
        try:
            field = opts.pk if name == "pk" else opts.get_field(name)
        except FieldDoesNotExist:
            return []
        if field.is_relation or not field.concrete or field.null:
            return []
        names.setdefault(field.name, f"{sign}{field.name}")
    return list(names.values())

"""What the lists of the office have in common: pages without a count of the whole table, the sums
of what is filtered, views that are one click away, and a file for a spreadsheet.
"""

import functools
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from django.contrib.admin import ShowFacets
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, SEARCH_VAR, ChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models
from django.db.models import Aggregate, Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from accounts import saved_views
from maaledu.csv import csv_response
from maaledu.money import CURRENCIES, Money, plain_amount
from office import searching
from office.list_pages import PLACES, PagedList

MOST_SUMMED = 10_000
ROWS_AT_ONCE = 500
# What is typed to find somebody is in no view that is kept: it names people.
NOT_KEPT = {SEARCH_VAR, ALL_VAR, ERROR_FLAG, *PLACES}


class ListAdmin(ModelAdmin):
    """A list of a table that grows; each declares what it sums up, its views, and its file."""

    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    # A page at a time: all rows of a table that grows are more than a request may take.
    list_disable_select_all = True
    list_filter_submit = True
    show_facets = ShowFacets.NEVER  # they count the whole table, once for each choice
    list_before_template = "admin/list_bar.html"
    # The amount whose sum by currency is shown of what is filtered.
    summed = ""
    summed_in = "currency"  # the column with its currency
    # Filters that are one click away: their words and what stands in the address.
    views: tuple[tuple[Any, dict[str, str]], ...] = ()
    # Columns of the file: the heading and the path of the value. A column of money is in the row's
    # currency; what is in another one, or is no column, is a property that returns Money.
    csv_columns: dict[str, str] = {}

    # What a whole id may be the id of.
    id_fields: tuple[str, ...] = ("pk",)
    # A table that stays small is searched for parts of texts, as Django does it.
    is_small = False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        wanted = searching.uuid_of(text)
        if wanted:
            return searching.any_of(queryset, self.of_id(wanted)), False
        if self.is_small:
            return super().get_search_results(request, queryset, search_term)
        return searching.any_of(queryset, searching.read(text, self.search_fields)), False

    def get_sortable_by(self, request: HttpRequest) -> Any:
        """By the column of its own order, which has an index, where nothing else is declared."""
        if self.sortable_by is None and not self.is_small:
            return [column.lstrip("-") for column in self.get_ordering(request)]
        return super().get_sortable_by(request)

    def of_id(self, wanted: UUID) -> list[Q]:
        """Return what a whole id may name."""
        return [Q(**{field: wanted}) for field in self.id_fields]

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return PagedList

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        page = super().get_changelist_instance(request)
        page.sums = SimpleLazyObject(functools.partial(self._sums, page))
        return page

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        asked = _of_all_pages(request).dict()
        every = (("All", {}), *self.views) if self.views else ()
        views = [
            {"words": words, "url": f"?{_query(query)}", "is_chosen": query == asked}
            for words, query in every
        ]
        more = {"views": views, "csv_url": self._csv_url(request), **self._saved(request, views)}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def _saved(self, request: HttpRequest, views: list[dict[str, Any]]) -> dict[str, Any]:
        """Return this person's own views, and the query that may be kept: "" where it is a view."""
        user: Any = request.user
        query = kept_query(request)
        own = [
            {"words": name, "url": f"?{kept}", "is_chosen": kept == query}
            for name, kept in saved_views.of(user, self.opts.label_lower).items()
        ]
        is_view = any(view["is_chosen"] for view in (*views, *own))
        return {
            "saved_views": own,
            "new_view": "" if is_view else query,
            "kept_query": query,
            "longest_view_name": saved_views.LONGEST_NAME,
        }

    # --- sums -------------------------------------------------------------------------------------
    def _sums(self, page: Any) -> str:
        """Say how much there is of what is filtered; nothing where nothing is."""
        if not self.summed or not (page.has_active_filters or page.query):
            return ""
        asked: dict[str, Aggregate] = {
            code: Sum(self.summed, filter=Q((self.summed_in, code)), default=0)
            for code in CURRENCIES
        }
        first = page.queryset.order_by()[: MOST_SUMMED + 1]
        sums = first.aggregate(number=Count("pk"), **asked)
        number = sums.pop("number")
        if number > MOST_SUMMED:
            return f"More than {MOST_SUMMED:,} rows: choose fewer days for their sum."
        amounts = " + ".join(str(Money(sums[code], code)) for code in sorted(sums) if sums[code])
        return f"{number:,} rows: {amounts or 'no money'}" if number else ""

    # --- the file ---------------------------------------------------------------------------------
    @property
    def _csv_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_csv"

    def may_download(self, request: HttpRequest) -> bool:
        return bool(self.has_view_permission(request))

    def _csv_url(self, request: HttpRequest) -> str:
        if not self.csv_columns or not self.may_download(request):
            return ""
        return f"{reverse(f'admin:{self._csv_name}')}?{_of_all_pages(request).urlencode()}"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.download)
        own = [path("export.csv", view, name=self._csv_name)] if self.csv_columns else []
        return [*own, *super().get_urls()]

    def download(self, request: HttpRequest) -> StreamingHttpResponse:
        """Stream what the list shows as it is filtered, all pages, and leave an entry of it.

        Raises PermissionDenied for who may not.
        """
        if not self.may_download(request):
            raise PermissionDenied
        rows = self.get_changelist_instance(request).queryset.iterator(ROWS_AT_ONCE)
        self._leave_entry(request)
        name = f"{self.opts.verbose_name_plural}-{timezone.now():%Y%m%d-%H%M}.csv"
        return csv_response(
            name.replace(" ", "-"), chain([self.csv_columns], self._cells(rows)), for_people=True
        )

    def _cells(self, rows: Iterator[Any]) -> Iterator[list[Any]]:
        columns = [(each, self._is_money(each)) for each in self.csv_columns.values()]
        for row in rows:
            yield [_cell(row, column, is_money=is_money) for column, is_money in columns]

    def _is_money(self, column: str) -> bool:
        try:
            field = self.opts.get_field(column)
        except FieldDoesNotExist:
            return False
        return isinstance(field, models.BigIntegerField | models.PositiveBigIntegerField)

    def _leave_entry(self, request: HttpRequest) -> None:
        asked = request.GET.urlencode() or "everything"
        LogEntry.objects.create(
            user_id=str(request.user.pk),
            content_type=ContentType.objects.get_for_model(self.model),
            object_repr=str(self.opts.verbose_name_plural).capitalize(),
            action_flag=CHANGE,
            change_message=f"exported as CSV: {asked}"[:500],
        )


def kept_query(request: HttpRequest) -> str:
    """Return the filters and the order in this address, always in the same form."""
    kept = [
        (name, value)
        for name, values in request.GET.lists()
        for value in values
        if value and name not in NOT_KEPT and not name.startswith("_")
    ]
    return urlencode(sorted(kept))


def _query(query: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in query.items())


def _cell(row: Any, column: str, *, is_money: bool) -> Any:
    value = functools.reduce(_attribute, column.split("."), row)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, Money):
        return plain_amount(value.amount, value.currency)
    return plain_amount(value, row.currency) if is_money and value is not None else value


def _attribute(of: Any, name: str) -> Any:
    """Return an attribute, and nothing of what is not there: a refund whose sale is not known."""
    return None if of is None else getattr(of, name)


def _of_all_pages(request: HttpRequest) -> QueryDict:
    """Return what is asked for, whichever page of it is shown."""
    asked = request.GET.copy()
    for name in PLACES:
        asked.pop(name, None)
    return asked

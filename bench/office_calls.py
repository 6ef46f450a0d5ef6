"""What staff ask of the office in a grown shop: its home, a learner, and each list in each way.

Imported in a process where the product is set up on a filled database. The addresses are read from
the lists themselves, so that a list, a filter or a view that is added is measured too.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from bench.office_data import STAFF
from enrollments.models import Enrollment
from maaledu.paging import backwards, cursor_of
from office import search_keys
from office.filters import DaysFilter
from office.list_pages import AFTER, BEFORE, PagedList
from office.lists import ListAdmin

Call = Callable[[], object]
Calls = Iterator[tuple[str, Callable[[], Call]]]
SEARCHED = {
    *search_keys.ADDRESSES,
    *search_keys.NAMES,
    *search_keys.IDS,
    *search_keys.STRIPE.values(),
    search_keys.COUPON,
    search_keys.AFFILIATE_CODE,
    search_keys.TOKEN,
    search_keys.LMS_ID,
}
LOOKED_AT = 200  # rows, for one with a value
NOBODYS = "nobodys-0001"  # where no row has a value
LAST_DAYS = {"the last 7 days": 7, "the last 30 days": 30}


def _client() -> Client:
    client = Client(SERVER_NAME="127.0.0.1", headers={"User-Agent": "Mozilla/5.0"})
    client.force_login(User.objects.get(email=STAFF))
    return client


def _open(client: Client, url: str, *others: int) -> Call:
    """Return the call of a page that has been looked at before, as all day the same ones are."""
    assert client.get(url).status_code in {200, *others}, url
    return partial(client.get, url)


def _search(client: Client, url: str) -> Call:
    return _open(client, url, 302)  # to what was found alone


def _export(client: Client, url: str) -> Call:
    def first_bytes() -> object:
        answer: Any = client.get(url)
        return next(iter(answer.streaming_content))

    first_bytes()
    return first_bytes


def _value(model: type[Model], path: str) -> str:
    """Return what a column holds in the first row that holds anything there; it is no copy."""
    oldest = model._default_manager.order_by("pk").values_list(path, flat=True)[:LOOKED_AT]
    return str(next(filter(None, oldest), NOBODYS))


def _pages(client: Client) -> Calls:
    bought = Enrollment.objects.filter(status=Enrollment.PAID).earliest("created_at")
    yield "home", partial(_open, client, "/admin/")
    yield "learner", partial(_open, client, reverse("learner", args=[bought.email]))
    for key in sorted(SEARCHED, key=str):
        url = f"{reverse('learners')}?{urlencode({'q': _value(key.model, key.column)})}"
        name = f"search: a learner by {key.what.lower()}, {key.column}"
        yield name, partial(_search, client, url)
    for model, page in admin.site._registry.items():
        yield from _of_list(client, model, page)


def _of_list(client: Client, model: type[Model], page: Any) -> Calls:
    name = model._meta.label
    row = model._default_manager.order_by("pk").last()
    assert row is not None, f"{name}: no row to look at"
    opts = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    url = reverse(f"{opts}_changelist")
    for words, query in _asked(page, url):
        yield f"{name}: {words}", partial(_open, client, url + query)
    yield f"{name}: one row", partial(_open, client, reverse(f"{opts}_change", args=[row.pk]))
    fields = (*page.search_fields, *getattr(page, "id_fields", ())) if page.search_fields else ()
    for path in fields:
        query = urlencode({"q": _value(model, path.lstrip("^="))})
        yield f"search: {name} by {path}", partial(_search, client, f"{url}?{query}")
    if isinstance(page, ListAdmin) and page.csv_columns:
        yield f"{name}: export", partial(_export, client, f"{url}export.csv")


def _asked(page: Any, url: str) -> Iterator[tuple[str, str]]:
    """Return each address of a list: what it shows, and the query."""
    yield "list", ""
    request = RequestFactory().get(url)
    request.user = User.objects.get(email=STAFF)  # type: ignore[attr-defined]
    shown: ChangeList = page.get_changelist_instance(request)
    yield from _in_the_middle(shown)
    for number, column in enumerate(shown.list_display):
        if shown.sortable_by is None or column in shown.sortable_by:
            yield f"by {column}, up", f"?o={number}"
            yield f"by {column}, down", f"?o=-{number}"
    yield from _filtered(page, shown)


def _in_the_middle(shown: ChangeList) -> Iterator[tuple[str, str]]:
    """Return the pages that begin after, and end before, the row in the middle of the list."""
    if not isinstance(shown, PagedList) or shown.pages is None:
        return
    order = shown.pages.order
    row = shown.queryset[shown.queryset.count() // 2]
    yield "page in the middle", f"?{urlencode({AFTER: cursor_of(row, order)})}"
    yield "page before it", f"?{urlencode({BEFORE: cursor_of(row, backwards(order))})}"


def _filtered(page: Any, shown: ChangeList) -> Iterator[tuple[str, str]]:
    days: dict[str, str] = {}
    for each in shown.filter_specs:
        if isinstance(each, DaysFilter):
            for words, number in LAST_DAYS.items():
                first = timezone.now() - timedelta(days=number)
                days[words] = f"{each.field_path}_from={first:%Y-%m-%d}"
            continue
        for choice in each.choices(shown):
            words = f"{each.title} = {choice.get('display', '')}"
            if choice.get("query_string", "?") not in ("", "?"):
                yield words, str(choice["query_string"])
    yield from ((words, f"?{query}") for words, query in days.items())


CALLS: dict[str, Callable[[], Call]] = dict(_pages(_client()))
CASES: dict = {}

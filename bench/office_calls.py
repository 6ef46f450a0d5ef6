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
from office.filters import DaysFilter
from office.lists import ListAdmin

Call = Callable[[], object]
DEEP_PAGE = 12  # of fifty rows each: there in the smaller shop too
SEARCHED = (
    "email",
    "to",
    "token",
    "code",
    "stripe_session_id",
    "stripe_payment_intent_id",
    "stripe_refund_id",
    "stripe_dispute_id",
    "event_id",
    "dedupe_key",
    "lms_enrollment_id",
)
LAST_DAYS = {"the last 7 days": 7, "the last 30 days": 30}


def _client() -> Client:
    client = Client(SERVER_NAME="127.0.0.1", headers={"User-Agent": "Mozilla/5.0"})
    client.force_login(User.objects.get(email=STAFF))
    return client


def _open(client: Client, url: str) -> Call:
    assert client.get(url).status_code == 200, url
    return partial(client.get, url)


def _first_bytes(client: Client, url: str) -> object:
    answer: Any = client.get(url)
    return next(iter(answer.streaming_content))


def _pages(client: Client) -> Iterator[tuple[str, Callable[[], Call]]]:
    bought = Enrollment.objects.filter(status=Enrollment.PAID).earliest("created_at")
    yield "home", partial(_open, client, "/admin/")
    yield "learner", partial(_open, client, reverse("learner", args=[bought.email]))
    for key in ("email", "pk", "token", "lms_enrollment_id"):
        url = f"{reverse('learners')}?{urlencode({'q': getattr(bought, key)})}"
        yield f"search: a learner by {key}", partial(partial, client.get, url)
    for model, page in admin.site._registry.items():
        yield from _of_list(client, model, page)


def _of_list(
    client: Client, model: type[Model], page: Any
) -> Iterator[tuple[str, Callable[[], Call]]]:
    name = model._meta.label
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for words, query in _asked(page, url):
        yield f"{name}: {words}", partial(_open, client, url + query)
    row = model._default_manager.order_by("pk").last()
    if row is None:
        return
    change = reverse(
        f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk]
    )
    yield f"{name}: one row", partial(_open, client, change)
    keys = [key for key in SEARCHED if getattr(row, key, "")] if page.search_fields else []
    for key in ("pk", *keys) if page.search_fields else ():
        query = urlencode({"q": getattr(row, key)})
        yield f"search: {name} by {key}", partial(partial, client.get, f"{url}?{query}")
    if isinstance(page, ListAdmin) and page.csv_columns:
        yield f"{name}: export", partial(partial, _first_bytes, client, f"{url}export.csv")


def _asked(page: Any, url: str) -> Iterator[tuple[str, str]]:
    """Return each address of a list: what it shows, and the query."""
    yield "list", ""
    yield "deep page", f"?p={DEEP_PAGE}"
    request = RequestFactory().get(url)
    request.user = User.objects.get(email=STAFF)  # type: ignore[attr-defined]
    shown: ChangeList = page.get_changelist_instance(request)
    for number, column in enumerate(shown.list_display):
        if shown.sortable_by is None or column in shown.sortable_by:
            yield f"by {column}, up", f"?o={number}"
            yield f"by {column}, down", f"?o=-{number}"
    yield from _filtered(page, shown)


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

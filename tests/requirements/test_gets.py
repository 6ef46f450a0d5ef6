"""No GET changes anything: a browser sends it ahead, and a mail program to look at a link (S6)."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from accounts.models import User
from enrollments.models import Enrollment
from tests.affiliates.make import make_affiliate
from tests.enrollments.test_provisioning import buy
from tests.factories import completed, deliver, make_course, make_pending
from tests.grants.make import make_application, make_coupon
from tests.sandbox_client import Sandbox

# Each page has tests of its own on every engine; that it writes nothing is no engine's matter.
pytestmark = pytest.mark.engines("sqlite")

AHEAD = {"Sec-Purpose": "prefetch;prerender", "Purpose": "prefetch", "Accept": "text/html"}
# Pages with a form, and those with one for each course.
FORMS = (
    "account_login",
    "account_signup",
    "account_reset_password",
    "account_request_login_code",
    "account_change_password",
    "account_email",
    "links_again",
    "affiliate_join",
    "affiliate_details",
    "account_delete",
)
OF_A_COURSE = ("checkout", "checkout_coupon", "grant_apply")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/141.0"
# Asked by programs with a key of their own, and never ahead.
OF_MACHINES = {
    "metrics",
    "cache_stats",
    "health_work",
    "health_ready",
    "health_live",
    "sendgrid_webhook",
}


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
    }


def named(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern
        elif pattern.app_name != "admin":
            yield from named(pattern.url_patterns)


def addresses(known: dict[str, list[str]]) -> Iterator[str]:
    """Yield the address of each route, with arguments of something that is there."""
    for pattern in named(get_resolver().url_patterns):
        if not pattern.name or pattern.name in OF_MACHINES:
            continue
        wanted = list(pattern.pattern.converters) or list(
            getattr(pattern.pattern.regex, "groupindex", {})
        )
        for number in range(max((len(known.get(name, [])) for name in wanted), default=1)):
            values = {name: known[name][number % len(known[name])] for name in wanted}
            try:
                yield reverse(pattern.name, kwargs=values)
            except NoReverseMatch:
                continue


def office_addresses() -> Iterator[str]:
    """Yield the page of a row of each list, with those of its decisions, or the list itself."""
    yield "/admin/"
    for model, page in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.order_by("pk").first()
        if row is None:
            yield reverse(f"{name}_changelist")
            continue
        one = reverse(f"{name}_change", args=[row.pk])
        yield one
        yield from (one.replace("/change/", f"/{each}/") for each in page_decisions(page))


def page_decisions(page: Any) -> list[str]:
    return list(getattr(page, "decisions", {}))[:2]


@pytest.fixture
def shop(db: None, client: Client, sandbox: Sandbox) -> dict[str, list[str]]:
    """A shop with a row for each kind of page; returns the arguments of its routes."""
    open_one, _ = make_pending(make_course())
    paid, payment = make_pending(make_course())
    deliver(client, completed(payment))
    waiting, _ = make_pending(make_course(), name="Ana")
    applied, coupon = make_application(email="g@example.com"), make_coupon(email="h@example.com")
    affiliate = make_affiliate("partner@example.com")
    buy(client)
    tokens = [each.token for each in (open_one, paid, waiting, applied, coupon)]
    return {
        "token": tokens,
        "slug": [open_one.course_slug],
        "kind": ["receipt"],
        "name": ["a-1.webp"],
        "code": [affiliate.code],
        "month": ["2026-11"],
        "pk": [str(affiliate.pk)],
        "key": ["x-y"],
        "uidb36": ["x"],
        "path": ["payment/"],
    }


def learner() -> Client:
    """Somebody with courses, who is an affiliate as well."""
    user = User.objects.get(email="partner@example.com")
    Enrollment.objects.filter(status="paid").update(email=user.email)
    client = Client(headers={"user-agent": BROWSER, **AHEAD})
    client.force_login(user)
    return client


def ask_all(client: Client, paths: Iterator[str]) -> dict[str, int]:
    """Ask each address and return its status; no statement wrote, and every row is as it was."""
    asked, writes, before = {}, [], rows()

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            writes.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        for path in paths:
            asked[path] = client.get(path).status_code
            assert writes == [], path
    after = rows()
    assert [label for label in after if after[label] != before[label]] == []
    return asked


def test_no_page_of_the_shop_changes_anything_when_it_is_loaded_ahead(shop) -> None:
    client = learner()
    asked = ask_all(client, addresses(shop))
    asked |= ask_all(client, (f"{path}?ref={shop['code'][0]}" for path in ("/", "/account/")))
    assert len(asked) > 50
    assert {status for status in asked.values() if status >= 500} <= {503}
    assert len([path for path, status in asked.items() if status == 200]) > 25
    # Fault S8: what was sent there is loaded again, or comes after signing in.
    of_machines = {"/api/webhook", "/webhooks/stripe"}
    assert {path for path, status in asked.items() if status == 405} == of_machines


def test_no_page_of_the_office_changes_anything_when_it_is_loaded_ahead(shop) -> None:
    boss = User.objects.create_superuser("boss@example.com", "a long enough passphrase")
    client = Client(headers={"user-agent": BROWSER, **AHEAD})
    client.force_login(boss)
    asked = ask_all(client, office_addresses())
    assert len([path for path, status in asked.items() if status == 200]) > 30


def test_control_a_get_that_writes_is_noticed(shop) -> None:
    client = learner()
    client.defaults.pop("HTTP_SEC_PURPOSE")
    client.defaults.pop("HTTP_PURPOSE")
    with pytest.raises(AssertionError, match="/affiliates/dashboard/"):
        ask_all(client, iter(["/affiliates/dashboard/"]))

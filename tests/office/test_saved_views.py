"""Views of a list that staff keep for themselves: a name, and the filters in the address."""

import json
from html import unescape
from typing import Any

import pytest
from django.test import Client

from accounts import saved_views
from accounts.errors import TooManyViews, ViewsChanged
from accounts.models import User
from tests.affiliates.make import make_staff
from tests.office.test_lists import member
from tests.statements import statements

pytestmark = [pytest.mark.django_db, pytest.mark.every_engine, pytest.mark.any_engine]

PAYMENTS = "/admin/payments/payment/"
OF_LIST = "payments.payment"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def send(client: Client, query: str, **fields: str) -> Any:
    asked = {"list": OF_LIST, "name": "Those that failed", **fields}
    return client.post(f"/admin/views/?{query}", asked)


def text_of(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


@pytest.mark.every_engine
def test_a_view_is_kept_shown_replaced_and_removed_and_nobody_else_sees_it() -> None:
    boss = make_staff(email="boss@example.com")
    client, colleague = signed_in(boss), signed_in(make_staff(email="other@example.com"))
    filtered = {"status__exact": "failed", "o": "-6"}
    assert "Keep this view" not in text_of(client.get(PAYMENTS))
    with statements() as before:
        assert "Keep this view" in text_of(client.get(PAYMENTS, filtered))
    # What was searched for names a person, and a page and empty fields are no filter.
    answer = send(client, "status__exact=failed&q=ada%40example.com&p=2&o=-6&created_at_from=")
    assert answer.headers["Location"] == f"{PAYMENTS}?o=-6&status__exact=failed"
    assert "The view “Those that failed” is kept." in text_of(client.get(PAYMENTS, filtered))
    with statements() as after:
        page = text_of(client.get(PAYMENTS, filtered))
    assert 'href="?o=-6&status__exact=failed" aria-current="true"' in page
    assert "Keep this view" not in page
    assert len(after) == len(before) <= 8
    assert "Those that failed" not in text_of(colleague.get(PAYMENTS))
    assert "Those that failed" not in text_of(client.get("/admin/payments/refund/"))

    send(client, "status__exact=expired", name=" Those  that failed ")
    boss.refresh_from_db()
    assert saved_views.of(boss, OF_LIST) == {"Those that failed": "status__exact=expired"}
    answer = send(client, "status__exact=paid", remove="1")
    assert answer.headers["Location"] == f"{PAYMENTS}?status__exact=paid"
    boss.refresh_from_db()
    assert boss.saved_views == "{}"
    answer = client.post(answer.request["PATH_INFO"], {"list": OF_LIST, "remove": "1"}, follow=True)
    assert "The view was removed already." in text_of(answer)


def test_only_what_the_list_takes_is_kept_under_a_name_that_can_be_read() -> None:
    boss = make_staff(email="boss@example.com")
    client = signed_in(boss)
    for query in ("next=https://evil.example/", "//evil.example", "course__title__startswith=a"):
        answer = send(client, query)
        assert (answer.status_code, "VIEW_REFUSED" in text_of(answer)) == (400, True), query
    refused = (
        ("", "A name"),
        ("q=ada&p=2", "A name"),
        (f"status__exact={'x' * 500}", "A name"),
        ("status__exact=paid", "  "),
        ("status__exact=paid", "x" * 61),
        ("status__exact=paid", "a\x07b"),
    )
    for query, name in refused:
        answer = send(client, query, name=name)
        assert answer.status_code == 302, query
        assert answer.headers["Location"].startswith(f"{PAYMENTS}?"), query
        assert "This view cannot be kept" in text_of(client.get(PAYMENTS)), (query, name)
    for of_list in ("", "payments", "payments.nothing", "courses.course", "a.b.c"):
        assert send(client, "status__exact=paid", list=of_list).status_code == 404, of_list
    assert client.get("/admin/views/").status_code == 405
    assert send(member("view_refund"), "status__exact=paid").status_code == 403
    assert set(User.objects.values_list("saved_views", flat=True)) == {""}


def test_views_are_counted_and_none_is_lost_to_another_window() -> None:
    user = make_staff(email="boss@example.com")
    full = {str(number): "a=1" for number in range(saved_views.MOST_OF_A_LIST)}
    user.saved_views = json.dumps({"payments.payment": full})
    user.save()
    stale = User.objects.get(pk=user.pk)
    with pytest.raises(TooManyViews):
        saved_views.keep(user, OF_LIST, name="One more", query="a=1")
    saved_views.keep(user, OF_LIST, name="7", query="b=2")
    with pytest.raises(ViewsChanged):
        saved_views.remove(stale, OF_LIST, name="3")
    user.refresh_from_db()
    assert saved_views.of(user, OF_LIST) == {**full, "7": "b=2"}
    user.saved_views = json.dumps({f"a.{number}": full for number in range(5)})
    user.save()
    with pytest.raises(TooManyViews):
        saved_views.keep(user, OF_LIST, name="One more", query="a=1")

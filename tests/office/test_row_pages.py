"""The page of each row: in how few statements it opens, whatever hangs on the row."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from affiliates.models import FraudSignal, LedgerEntry
from office.cells import url_of
from tests.affiliates.make import make_affiliate, make_staff
from tests.office.rich_rows import make_rich_rows
from tests.statements import statements

MOST_STATEMENTS = 8
# What is no text for people, such as names of icons.
NO_TEXT = re.compile(
    r"<(script|style)\b.*?</\1>|<span[^>]*material-symbols[^>]*>[^<]*|<[^>]+>", re.DOTALL
)
GIVEN = {"lms_sync.syncjob": {"enrollment_id", "payment_id", "referral_code"}}  # to a job, as JSON
CODE = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


@pytest.mark.django_db
@pytest.mark.engines("sqlite")
@pytest.mark.breaks_invariants
def test_the_page_of_each_row_opens_in_eight_statements_and_shows_no_code() -> None:
    staff, client = make_staff(email="boss@example.com"), Client()
    make_rich_rows(staff)
    client.force_login(staff)
    over, codes = {}, {}
    for model in admin.site._registry:
        row = model._default_manager.order_by("pk")[0]
        cache.clear()
        ContentType.objects.get_for_model(model)  # which is asked for once in a process
        with statements() as asked:
            answer = client.get(url_of(row))
        assert answer.status_code == 200, model
        if found := set(CODE.findall(NO_TEXT.sub(" ", answer.content.decode()))):
            codes[model._meta.label_lower] = found
        if len(asked) > MOST_STATEMENTS:
            over[model._meta.label_lower] = asked
    assert (over, codes) == ({}, GIVEN)


@pytest.mark.django_db
@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_an_affiliate_is_shown_with_the_latest_entries_and_what_is_to_be_reviewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    affiliate, client, now = make_affiliate(), Client(), timezone.now()
    client.force_login(make_staff(email="boss@example.com"))
    times = [(f"of hour {hour}", now - timedelta(hours=hour)) for hour in range(12)]
    booked: dict[str, Any] = {"affiliate": affiliate, "kind": "adjustment"}
    booked |= {"amount": -5, "currency": "eur"}
    LedgerEntry.objects.bulk_create(
        LedgerEntry(source_key=words, note=words, created_at=at, available_at=at, **booked)
        for words, at in reversed(times)
    )
    FraudSignal.objects.bulk_create(
        FraudSignal(affiliate=affiliate, kind="same_device", dedupe_key=words, detail=words,
                    created_at=at, status="cleared" if words == "of hour 3" else "open")
        for words, at in reversed(times)
    )  # fmt: skip
    shown = client.get(url_of(affiliate)).context
    hours = [words for words, _ in times]
    assert [each.note for each in shown["entries"]] == hours[:10]
    assert {(each.amount, each.currency, each.kind) for each in shown["entries"]} == {
        (-5, "eur", "adjustment")
    }
    assert [each.detail for each in shown["signals"]] == [*hours[:3], *hours[4:11]]
    keys = set(FraudSignal.objects.values_list("pk", flat=True))
    assert {each.pk for each in shown["signals"]} <= keys
    assert shown["signal_count"] == 11
    monkeypatch.setattr("office.affiliates.MOST_COUNTED", 10)
    assert client.get(url_of(affiliate)).context["signal_count"] == "over 10"

"""The office's pages of affiliates and money: no address breaks one, and none edits a row."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client

from affiliates import commissions, fraud, memberships
from affiliates.models import Affiliate, Commission, FraudSignal, PayoutBatch
from office.base import ReadOnlyAdmin
from tests.affiliates.make import make_staff
from tests.affiliates.payday import PAYPAL, batch_in, owed
from tests.affiliates.rivals import rival_before

pytestmark = pytest.mark.any_engine

BOSS = "boss@example.com"
PAGES = [
    model
    for model in apps.get_app_config("affiliates").get_models()
    if model in admin.site._registry
]
NO_IDS = [
    "nonsense",
    "1",
    "00000000-0000-7000-8000-00000000000",
    "00000000-0000-7000-8000-000000000000",
    "x' OR '1'='1",
    "%00",
    "é",
]


@pytest.fixture
def office(db: None) -> Client:
    client = Client()
    client.force_login(make_staff(email=BOSS))
    return client


def named(model: Any) -> str:
    return model._meta.model_name


def page_of(model: Any, key: Any, decision: str = "change") -> str:
    return f"/admin/affiliates/{named(model)}/{key}/{decision}/"


def decisions_of(model: Any) -> list[str]:
    """Return the steps that the page of a row offers, by their addresses."""
    return list(admin.site._registry[model].actions_detail)


def test_the_head_of_a_row_is_its_list_which_is_never_cut_and_itself(office: Client) -> None:
    owed()
    batch = batch_in(PayoutBatch.DRAFT)
    shown = office.get(page_of(PayoutBatch, batch.pk)).content.decode()
    [head] = re.findall(r"<h1.*?</h1>", shown, re.DOTALL)
    steps = re.findall(r'<a href="([^"]+)" class="[^"]*(shrink-0|truncate)">([^<]+)</a>', head)
    assert [(url, how, words.strip()) for url, how, words in steps] == [
        ("/admin/affiliates/payoutbatch/", "shrink-0", "Payout batches"),
        (page_of(PayoutBatch, batch.pk), "truncate", str(batch)),
    ]


def test_these_are_all_the_pages() -> None:
    assert {named(model) for model in PAGES} == {
        "affiliate", "balance", "commission", "fraudsignal", "ledgerentry", "payout", "payoutbatch",
    }  # fmt: skip


def test_a_field_names_its_help_and_its_errors_for_those_who_listen(office: Client) -> None:
    for page, typed in (
        ("/admin/courses/instructorprofile/add/", {"link": "http://example.com"}),
        ("/admin/affiliates/payoutbatch/draft/", {"decide": "1"}),
    ):
        text = office.post(page, typed).content.decode()
        named_by = " ".join(re.findall(r'aria-describedby="([^"]+)"', text)).split()
        assert {each.rpartition("_")[2] for each in named_by} == {"helptext", "error"}, page
        assert set(named_by) <= set(re.findall(r' id="([^"]+)"', text)), page


# --- addresses ------------------------------------------------------------------------------------
@pytest.mark.parametrize("key", NO_IDS)
@pytest.mark.parametrize("model", PAGES, ids=named)
def test_a_row_that_is_not_there_is_not_found_whatever_the_address(
    office: Client, model: Any, key: str
) -> None:
    for decision in ("change", "history", "delete", *decisions_of(model)):
        for answer in (
            office.get(page_of(model, key, decision)),
            office.post(page_of(model, key, decision), {"reason": "R"}),
        ):
            assert answer.status_code in (302, 400, 403, 404), (decision, answer.status_code)
    assert LogEntry.objects.count() == 0


@pytest.mark.parametrize("model", [each for each in PAGES if each is not PayoutBatch], ids=named)
def test_staff_see_an_error_as_on_any_page(office: Client, model: Any) -> None:
    answer = office.get(page_of(model, "nonsense"), follow=True)
    assert "Perhaps it was deleted?" in answer.content.decode()


# --- nothing is edited ----------------------------------------------------------------------------
def everything() -> dict[str, Any]:
    owed()
    batch_in(PayoutBatch.RELEASED)
    FraudSignal.objects.create(
        affiliate=Affiliate.objects.get(), kind="same_device", dedupe_key="x", detail="Course one"
    )
    return {named(model): list(model._base_manager.order_by("pk").values()) for model in PAGES}


@pytest.mark.every_engine
@pytest.mark.parametrize("model", PAGES, ids=named)
def test_no_page_writes_a_row_back(office: Client, model: Any) -> None:
    """A form that saves what it was shown would undo what was booked since: there is none."""
    before = everything()
    row = model._base_manager.first()
    assert isinstance(admin.site._registry[model], ReadOnlyAdmin)
    shown = {field.name: str(getattr(row, field.attname)) for field in model._meta.concrete_fields}
    assert office.post(page_of(model, row.pk), {**shown, "_save": "Save"}).status_code == 403
    assert office.post(f"/admin/affiliates/{named(model)}/add/", shown).status_code == 403
    assert before == {
        named(each): list(each._base_manager.order_by("pk").values()) for each in PAGES
    }


def other_columns(row: Any, *names: str) -> dict[str, Any]:
    return {
        name: value
        for name, value in type(row).objects.filter(pk=row.pk).values().get().items()
        if name not in (*names, "updated_at")
    }


DECISIONS: dict[str, Callable[[Affiliate], Any]] = {
    "suspend": lambda stale: memberships.suspend(
        stale, by="staff@example.com", reason="A question"
    ),
    "close": lambda stale: memberships.close(stale, by="staff@example.com", reason="Over"),
    "rate": lambda stale: memberships.change_rate(stale, 1500, by=BOSS),
}


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS)
def test_a_decision_about_an_affiliate_leaves_alone_what_changed_since_it_was_read(
    db: None, decide: Callable[[Affiliate], Any]
) -> None:
    stale = owed()
    memberships.change_details(Affiliate.objects.get(), PAYPAL)
    decided = ("status", "status_reason", "rate_basis_points")
    before = other_columns(stale, *decided)
    assert decide(stale)
    assert other_columns(stale, *decided) == before
    assert before["payout_method"] == "paypal"


@pytest.mark.every_engine
def test_a_decision_about_a_commission_or_a_signal_leaves_alone_what_changed_since_it_was_read(
    db: None,
) -> None:
    affiliate = owed()
    commission = Commission.objects.get()
    commissions.settle(
        commission.enrollment_id, refunded=50_000, paid=100_000, is_disputed=False, actor="test"
    )
    assert commissions.review(commission.enrollment_id, hold=True, by=BOSS, note="Looks odd")
    assert Commission.objects.get().net == 5000
    commissions.settle(
        commission.enrollment_id, refunded=0, paid=100_000, is_disputed=False, actor="test"
    )
    signal = FraudSignal.objects.create(
        affiliate=affiliate, kind="same_device", dedupe_key="x", detail="One course"
    )
    FraudSignal.objects.update(detail="Two courses")
    assert fraud.decide(signal, FraudSignal.CLEARED, by=BOSS)
    assert FraudSignal.objects.get().detail == "Two courses"


@pytest.mark.every_engine
@pytest.mark.engines("sqlite", "postgres")
def test_a_decision_in_the_office_keeps_what_changed_while_its_form_was_sent(
    office: Client,
) -> None:
    affiliate = owed()
    with rival_before(
        'UPDATE "affiliates_affiliate"',
        lambda: memberships.change_details(Affiliate.objects.get(), PAYPAL),
    ) as changed:
        office.post(page_of(Affiliate, affiliate.pk, "rate"), {"decide": "1", "rate": "12.5"})
    affiliate.refresh_from_db()
    assert (changed, affiliate.rate_basis_points, affiliate.payout_method) == (
        [True],
        1250,
        "paypal",
    )

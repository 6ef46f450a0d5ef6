"""What staff can do with payouts, the ledger and commissions, also on the command line."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from affiliates import commissions, payouts
from affiliates.models import Affiliate, Balance, Commission, LedgerEntry, Payout, PayoutBatch
from affiliates.payout_files import payment_id
from notifications import outgoing
from notifications.models import Email
from tests.affiliates.make import IBAN, make_affiliate, make_staff
from tests.affiliates.payday import PAYPAL, amounts, batch_in, draft, earn, owed, state
from tests.affiliates.test_ledger import balance_of
from tests.factories import deliver, dispute_of, disputed
from tests.office.test_lists import act, member
from tests.statements import statements

pytestmark = pytest.mark.any_engine

BATCHES = "/admin/affiliates/payoutbatch/"
LINES = "/admin/affiliates/payout/"
LEDGER = "/admin/affiliates/ledgerentry/"
BALANCES = "/admin/affiliates/balance/"
COMMISSIONS = "/admin/affiliates/commission/"
# Each step of a batch: the status it takes, what is posted, and the permission it needs.
STEPS = {
    "release": (PayoutBatch.DRAFT, {"seen": "1:10000"}, "release_payoutbatch"),
    "paid": (PayoutBatch.RELEASED, {"reference": "BANK-77"}, "settle_payoutbatch"),
    "cancel": (PayoutBatch.RELEASED, {"reason": "Wrong month"}, "settle_payoutbatch"),
    "export": (PayoutBatch.RELEASED, {}, "export_payoutbatch"),
}
OFFERED = {
    PayoutBatch.DRAFT: {"release", "cancel"},
    PayoutBatch.RELEASED: {"export", "paid", "cancel"},
    PayoutBatch.PAID: {"export"},
    PayoutBatch.CANCELLED: set(),
}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(db: None) -> User:
    return make_staff(email="boss@example.com")


@pytest.fixture
def office(boss: User) -> Client:
    return signed_in(boss)


def url(batch: PayoutBatch, decision: str = "change") -> str:
    return f"{BATCHES}{batch.pk}/{decision}/"


def text_of(answer: Any) -> str:
    return answer.content.decode()


def history() -> list[tuple[str, str]]:
    return list(
        LogEntry.objects.order_by("action_time", "pk").values_list("object_id", "change_message")
    )


def form(currency: str = "usd", method: str = "bank", days: int = 0) -> dict[str, str]:
    return {
        "currency": currency,
        "method": method,
        "payable_on": str(timezone.now().date() + timedelta(days=days)),
    }


def rows(answer: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


# --- drafting -------------------------------------------------------------------------------------
def test_staff_draft_what_is_payable_and_land_on_the_batch(office: Client, boss: User) -> None:
    owed(60_000)
    page = office.get(f"{BATCHES}draft/")
    assert "USD, from $50.00" in text_of(page)
    assert PayoutBatch.objects.count() == 0
    answer = office.post(f"{BATCHES}draft/", form(), follow=True)
    batch = PayoutBatch.objects.get()
    assert answer.redirect_chain == [(url(batch), 302)]
    assert "Drafted: 1 payout, $60.00." in text_of(answer)
    assert (batch.drafted_by, batch.currency, batch.method, amounts(batch)) == (
        boss,
        "usd",
        "bank",
        [6000],
    )
    assert history() == [(str(batch.pk), "drafted")]


def test_a_draft_with_nothing_to_pay_says_so_and_leaves_nothing(office: Client) -> None:
    owed(49_990)
    answer = office.post(f"{BATCHES}draft/", form())
    assert (answer.status_code, "No affiliate has enough to pay out" in text_of(answer)) == (
        200,
        True,
    )
    assert (PayoutBatch.objects.count(), LogEntry.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"currency": "xxx"},
        {"currency": ""},
        {"method": "later"},
        {"method": ""},
        {"payable_on": "yesterday"},
        {"payable_on": ""},
    ],
    ids=str,
)
def test_a_draft_of_something_else_is_shown_again(office: Client, wrong: dict) -> None:
    owed()
    assert office.post(f"{BATCHES}draft/", {**form(), **wrong}).status_code == 200
    assert PayoutBatch.objects.count() == 0


def test_what_becomes_payable_later_cannot_be_drafted_yet(office: Client) -> None:
    owed()
    assert "Choose today or an earlier day" in text_of(
        office.post(f"{BATCHES}draft/", form(days=1))
    )
    assert PayoutBatch.objects.count() == 0


def test_two_presses_draft_once(office: Client) -> None:
    owed()
    for _ in range(2):
        office.post(f"{BATCHES}draft/", form())
    assert (PayoutBatch.objects.count(), Payout.objects.count()) == (1, 1)


# --- what a batch shows ---------------------------------------------------------------------------
def test_a_batch_shows_its_payouts_with_masked_accounts_and_who_did_what_when(
    office: Client,
) -> None:
    affiliate, other = owed(60_000, 1990), owed(70_000)
    batch = batch_in(PayoutBatch.PAID)
    payouts.cancel(other.payouts.get(), by=make_staff(), reason="The bank sent it back")
    page = text_of(office.get(url(batch)))
    batch.refresh_from_db()
    for shown in (
        "Ada Partner",
        "DE•• •••• 3000",
        "$61.99",
        "2 entries",
        "BANK-1",
        "The bank sent it back",
    ):
        assert shown in page, shown
    for person in (batch.drafted_by, batch.released_by, batch.paid_by):
        assert person.email in page
    assert IBAN not in page
    assert IBAN not in text_of(office.get(f"{LINES}{affiliate.payouts.get().pk}/change/"))
    listed = text_of(office.get(BATCHES))
    assert "$61.99" in listed
    assert "$131.99" not in listed


@pytest.mark.every_engine
def test_a_payout_lists_each_of_its_entries_with_a_link(office: Client) -> None:
    affiliate = owed(60_000, 1990)
    batch = draft()
    assert f"{LINES}{affiliate.payouts.get().pk}/change/" in text_of(office.get(url(batch)))
    page = text_of(office.get(f"{LINES}{affiliate.payouts.get().pk}/change/"))
    for entry in affiliate.entries.all():
        assert f"{LEDGER}{entry.pk}/change/" in page
        assert str(entry.enrollment_id) in page
    assert "$60.00" in page
    assert "$1.99" in page


@pytest.mark.every_engine
def test_a_payout_is_found_by_affiliate_by_the_id_in_the_file_and_by_its_own(
    office: Client,
) -> None:
    affiliate, _ = owed(), owed()
    draft()
    payout = affiliate.payouts.get()
    for text in (
        affiliate.code,
        affiliate.email,
        payment_id(payout.pk),
        str(payout.pk),
        str(affiliate.pk),
    ):
        assert [row.pk for row in office.get(LINES, {"q": text}).context["cl"].result_list] == [
            payout.pk
        ], text
    assert list(office.get(LINES, {"q": "nobody"}).context["cl"].result_list) == []


@pytest.mark.parametrize("status", OFFERED)
def test_a_batch_offers_the_steps_that_are_next_only(office: Client, status: str) -> None:
    owed()
    page = text_of(office.get(url(batch_in(status))))
    offered = {
        decision
        for decision in STEPS
        if f"/{decision}/" in page.replace("/payout/", "").replace(LINES, "")
    }
    lines = {"cancel"} if status != PayoutBatch.CANCELLED else set()
    assert offered - lines == OFFERED[status] - lines


# --- releasing ------------------------------------------------------------------------------------
def test_a_colleague_releases_what_they_have_looked_at(office: Client, boss: User) -> None:
    affiliate = owed()
    batch = draft()
    page = office.get(url(batch, "release"))
    assert 'value="1:10000"' in text_of(page)
    assert "$100.00" in text_of(page)
    assert PayoutBatch.objects.get().status == "draft"
    answer = office.post(url(batch, "release"), {"seen": "1:10000"}, follow=True)
    assert "Released: 1 payout, $100.00." in text_of(answer)
    batch.refresh_from_db()
    assert (batch.status, batch.released_by) == ("released", boss)
    assert balance_of(affiliate) == (0, 0, 10_000, 0)
    assert history() == [(str(batch.pk), "released: 1 payout, $100.00")]


def test_who_drafted_is_shown_no_button_and_refused_also_without_it(
    office: Client, boss: User
) -> None:
    owed()
    batch = draft(boss)
    assert "You drafted this batch." in text_of(office.get(url(batch)))
    page = text_of(office.get(url(batch, "release")))
    assert "Whoever drafted a payout cannot release it" in page
    assert 'name="decide"' not in page
    before = state()
    answer = office.post(url(batch, "release"), {"seen": "1:10000"})
    assert "Whoever drafted a payout cannot release it" in text_of(answer)
    assert (state(), LogEntry.objects.count()) == (before, 0)


@pytest.mark.parametrize("seen", ["", "1:9999", "2:10000"])
def test_a_batch_that_has_changed_since_it_was_shown_is_not_released(
    office: Client, seen: str
) -> None:
    owed()
    batch = draft()
    before = state()
    assert office.post(url(batch, "release"), {"seen": seen}).status_code == 200
    assert (state(), LogEntry.objects.count()) == (before, 0)


def test_a_release_says_what_was_cancelled_because_it_is_not_covered(office: Client) -> None:
    held = make_affiliate()
    ((sale, _),) = earn(held, 60_000)
    owed(70_000)
    batch = draft()
    commissions.review(sale.pk, hold=True, by="boss@example.com", note="Looks odd")
    answer = office.post(url(batch, "release"), {"seen": "2:13000"}, follow=True)
    assert (
        "Released: 1 payout, $70.00; not covered any more and cancelled: 1 payout, $60.00."
        in text_of(answer)
    )


# --- paid, cancelled, downloaded ------------------------------------------------------------------
@pytest.mark.every_engine
def test_marking_paid_mails_each_affiliate_once(office: Client, boss: User) -> None:
    ada, bo = owed(60_000), owed(70_000, name="Bo")
    batch = batch_in(PayoutBatch.RELEASED)
    answer = office.post(url(batch, "paid"), {"reference": "BANK-77"}, follow=True)
    assert "Marked paid: 2 payouts, $130.00." in text_of(answer)
    batch.refresh_from_db()
    assert (batch.status, batch.paid_by, batch.reference) == ("paid", boss, "BANK-77")
    assert sorted(
        Email.objects.filter(kind="affiliate_payout").values_list("to", flat=True)
    ) == sorted([ada.email, bo.email])
    context = Email.objects.get(to=ada.email).context
    assert {
        name: context[name] for name in ("payee_name", "amount", "method", "hint", "reference")
    } == {
        "payee_name": "Ada Partner",
        "amount": "$60.00",
        "method": "Bank transfer",
        "hint": "DE•• •••• 3000",
        "reference": "BANK-77",
    }
    assert context["dashboard_link"] == "http://testserver/affiliates/dashboard/"
    again = office.post(url(batch, "paid"), {"reference": "BANK-78"})
    assert "only a released one can be marked paid" in text_of(again)
    assert (
        Email.objects.filter(kind="affiliate_payout").count(),
        PayoutBatch.objects.get().reference,
    ) == (2, "BANK-77")
    assert history() == [(str(batch.pk), "marked paid: 2 payouts, $130.00")]


def test_the_message_about_a_payout_can_be_written(office: Client) -> None:
    owed()
    office.post(url(batch_in(PayoutBatch.RELEASED), "paid"), {"reference": "BANK-77"})
    message = outgoing.compose(Email.objects.get(kind="affiliate_payout"))
    assert "$100.00" in message.body
    assert "BANK-77" in message.body


@pytest.mark.parametrize("reference", ["", "   ", "x" * 81])
def test_marking_paid_needs_a_reference(office: Client, reference: str) -> None:
    owed()
    batch = batch_in(PayoutBatch.RELEASED)
    before = state()
    assert office.post(url(batch, "paid"), {"reference": reference}).status_code == 200
    assert (state(), Email.objects.filter(kind="affiliate_payout").count()) == (before, 0)


def test_a_batch_is_cancelled_with_a_reason(office: Client) -> None:
    affiliate = owed()
    batch = batch_in(PayoutBatch.RELEASED)
    assert office.post(url(batch, "cancel"), {"reason": ""}).status_code == 200
    assert PayoutBatch.objects.get().status == "released"
    answer = office.post(url(batch, "cancel"), {"reason": "Wrong month"}, follow=True)
    assert "Cancelled: 1 payout, $100.00." in text_of(answer)
    assert "Wrong month" in text_of(answer)
    assert balance_of(affiliate) == (0, 10_000, 0, 0)


@pytest.mark.parametrize("status", [PayoutBatch.DRAFT, PayoutBatch.RELEASED, PayoutBatch.PAID])
def test_one_payout_is_cancelled_with_a_reason(office: Client, status: str) -> None:
    affiliate, _ = owed(60_000), owed(70_000)
    batch_in(status)
    payout = affiliate.payouts.get()
    page = f"{LINES}{payout.pk}/cancel/"
    assert "$60.00" in text_of(office.get(page))
    assert Payout.objects.get(pk=payout.pk).status == status
    assert office.post(page, {"reason": ""}).status_code == 200
    answer = office.post(page, {"reason": "The bank sent it back"}, follow=True)
    assert "Cancelled: $60.00 to Ada Partner: The bank sent it back." in text_of(answer)
    assert "cancelled already" in text_of(office.post(page, {"reason": "Again"}))
    assert balance_of(affiliate) == (0, 6000, 0, 0)
    assert history() == [
        (str(payout.pk), "cancelled: $60.00 to Ada Partner: The bank sent it back")
    ]


def test_the_file_is_downloaded_by_a_button_and_each_time_is_noted(office: Client) -> None:
    owed()
    batch = batch_in(PayoutBatch.RELEASED)
    page = office.get(url(batch, "export"))
    assert "Download the file for the bank" in text_of(page)
    assert LogEntry.objects.count() == 0
    answer = office.post(url(batch, "export"))
    name = f"payouts-bank-usd-{batch.payable_on}-{batch.pk.hex[-8:]}.csv"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer["Cache-Control"].startswith("no-store")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert rows(answer)[1][:4] == ["Ada Partner", IBAN, "100.00", "USD"]
    office.post(url(batch, "export"))
    assert history() == [(str(batch.pk), f"downloaded {name}")] * 2


def test_the_paypal_file_is_downloaded_too(office: Client) -> None:
    affiliate = owed(details=PAYPAL)
    batch = draft(method="paypal")
    payouts.release(batch, by=make_staff())
    assert "Download the file for PayPal" in text_of(office.get(url(batch, "export")))
    assert rows(office.post(url(batch, "export")))[0][:4] == [
        "ada@paypal.example",
        "100.00",
        "USD",
        payment_id(affiliate.payouts.get().pk),
    ]


@pytest.mark.parametrize("status", [PayoutBatch.DRAFT, PayoutBatch.CANCELLED])
def test_nothing_is_downloaded_of_what_nobody_released(office: Client, status: str) -> None:
    owed()
    answer = office.post(url(batch_in(status), "export"))
    assert "there is a file for a released one only" in text_of(answer)
    assert (answer.has_header("Content-Disposition"), LogEntry.objects.count()) == (False, 0)


# --- permissions ----------------------------------------------------------------------------------
ALL = [
    "view_payoutbatch",
    "view_payout",
    "draft_payoutbatch",
    *sorted({permission for *_, permission in STEPS.values()}),
]


@pytest.mark.parametrize("decision", STEPS)
def test_each_step_needs_its_own_permission(db: None, decision: str) -> None:
    owed()
    status, typed, permission = STEPS[decision]
    batch = batch_in(status)
    client = member(*(each for each in ALL if each != permission))
    before = state()
    assert client.get(url(batch)).status_code == 200
    assert (
        client.get(url(batch, decision)).status_code,
        client.post(url(batch, decision), typed).status_code,
    ) == (403, 403)
    assert (state(), LogEntry.objects.count()) == (before, 0)
    User.objects.filter(email="clerk@example.com").delete()
    allowed = member("view_payoutbatch", permission)
    assert allowed.get(url(batch, decision)).status_code == 200
    assert allowed.post(url(batch, decision), typed).status_code in (200, 302)
    assert LogEntry.objects.count() == 1


def test_drafting_needs_its_permission(db: None) -> None:
    owed()
    client = member(*(each for each in ALL if each != "draft_payoutbatch"))
    assert (
        client.get(f"{BATCHES}draft/").status_code,
        client.post(f"{BATCHES}draft/", form()).status_code,
    ) == (403, 403)
    assert PayoutBatch.objects.count() == 0
    User.objects.filter(email="clerk@example.com").delete()
    member("view_payoutbatch", "draft_payoutbatch").post(f"{BATCHES}draft/", form())
    assert PayoutBatch.objects.count() == 1


def test_cancelling_one_payout_needs_its_permission(db: None) -> None:
    affiliate = owed()
    batch_in(PayoutBatch.DRAFT)
    page = f"{LINES}{affiliate.payouts.get().pk}/cancel/"
    client = member(*(each for each in ALL if each != "settle_payoutbatch"))
    before = state()
    assert (client.get(page).status_code, client.post(page, {"reason": "R"}).status_code) == (
        403,
        403,
    )
    assert state() == before
    User.objects.filter(email="clerk@example.com").delete()
    assert (
        member("view_payout", "settle_payoutbatch").post(page, {"reason": "R"}).status_code == 302
    )


@pytest.mark.parametrize("decision", [*STEPS, "draft"])
def test_a_link_changes_nothing_whatever_it_says(office: Client, decision: str) -> None:
    owed()
    batch = batch_in(STEPS[decision][0]) if decision in STEPS else None
    page, typed = (
        (url(batch, decision), STEPS[decision][1]) if batch else (f"{BATCHES}draft/", form())
    )
    before = state()
    answer = office.get(page, {**typed, "decide": "1"})
    assert (answer.status_code, answer.has_header("Content-Disposition")) == (200, False)
    assert (state(), LogEntry.objects.count()) == (before, 0)


@pytest.mark.parametrize("decision", [*STEPS, "draft"])
def test_no_step_without_the_forms_token_or_a_sign_in(
    office: Client, boss: User, decision: str
) -> None:
    owed()
    batch = batch_in(STEPS[decision][0]) if decision in STEPS else None
    page, typed = (
        (url(batch, decision), STEPS[decision][1]) if batch else (f"{BATCHES}draft/", form())
    )
    before = state()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(boss)
    assert strict.post(page, typed).status_code == 403
    assert Client().post(page, typed).status_code == 302
    assert (state(), LogEntry.objects.count()) == (before, 0)


@pytest.mark.parametrize("key", ["00000000-0000-7000-8000-000000000000", "nothing", "1"])
@pytest.mark.parametrize("decision", ["change", *STEPS])
def test_a_batch_that_is_not_there_is_not_found(office: Client, key: str, decision: str) -> None:
    answers = (
        office.get(f"{BATCHES}{key}/{decision}/"),
        office.post(f"{BATCHES}{key}/{decision}/", {"reason": "R", "reference": "R"}),
    )
    assert [answer.status_code for answer in answers] == [404, 404]
    assert office.post(f"{LINES}{key}/cancel/", {"reason": "R"}).status_code == 404


# --- the ledger, read only ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "model",
    [LedgerEntry, Balance, Commission, Payout, PayoutBatch],
    ids=lambda model: model.__name__,
)
def test_money_is_not_added_edited_or_deleted_by_hand_by_anybody(
    office: Client, model: Any
) -> None:
    owed()
    batch_in(PayoutBatch.RELEASED)
    name = model._meta.model_name
    before = list(model.objects.order_by("pk").values())
    row = model.objects.first()
    page = f"/admin/affiliates/{name}/"
    assert office.get(f"{page}{row.pk}/change/").status_code == 200
    typed = {"amount": "1", "payable": "1", "status": "paid", "currency": "eur", "note": "x"}
    assert office.post(f"{page}{row.pk}/change/", typed).status_code == 403
    assert office.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert (
        office.get(f"{page}add/").status_code,
        office.post(f"{page}add/", typed).status_code,
    ) == (403, 403)
    listing = office.get(page)
    assert "delete_selected" not in text_of(listing)
    deletion = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    office.post(page, deletion, follow=True)
    assert list(model.objects.order_by("pk").values()) == before
    assert LogEntry.objects.count() == 0


@pytest.mark.every_engine
def test_the_ledger_is_searched_and_filtered(office: Client) -> None:
    affiliate, _ = owed(60_000), owed(70_000)
    batch_in(PayoutBatch.RELEASED)
    sale = affiliate.entries.get(kind="commission")
    paid = affiliate.entries.get(kind="payout")

    def found(**asked: str) -> set:
        return {row.pk for row in office.get(LEDGER, asked).context["cl"].result_list}

    for text in (affiliate.code, affiliate.code.lower(), affiliate.email):
        assert found(q=text) == {sale.pk, paid.pk}
    for text in (str(sale.enrollment_id), sale.source_key, str(sale.pk)):
        assert found(q=text) == {sale.pk}
    assert found(q=str(paid.payout_id)) == {paid.pk}
    assert len(found()) == 4
    assert len(found(kind__exact="payout")) == 2
    assert found(currency__exact="eur") == found(q="nobody at all") == set()


@pytest.mark.every_engine
def test_an_entry_is_explained_on_its_page(office: Client) -> None:
    affiliate = owed(49900, 60_000)
    draft()
    entry = affiliate.entries.get(amount=4990)
    page = text_of(office.get(f"{LEDGER}{entry.pk}/change/"))
    payout = affiliate.payouts.get()
    for shown in (
        "$49.90",
        "$499.00 x 10 %",
        str(entry.enrollment_id),
        entry.source_key,
        f"{LINES}{payout.pk}/change/",
    ):
        assert shown in page, shown
    assert "&#x27;commission&#x27;" not in page


@pytest.mark.every_engine
def test_a_balance_leads_to_the_entries_it_is_made_of(office: Client) -> None:
    affiliate, _ = owed(60_000), owed()
    page = text_of(office.get(BALANCES, {"q": affiliate.code}))
    assert "$60.00" in page
    link = f"{LEDGER}?affiliate__id__exact={affiliate.pk}&amp;currency__exact=usd"
    assert link in page
    listed = office.get(link.replace("&amp;", "&")).context["cl"].result_list
    assert [row.pk for row in listed] == [affiliate.entries.get().pk]


@pytest.mark.every_engine
def test_a_commission_shows_its_arithmetic_and_where_it_was_paid(office: Client) -> None:
    affiliate = owed(60_000, 19_999)
    ((_, payment),) = earn(affiliate, 49900)
    deliver(Client(), disputed(dispute_of(payment)))
    draft()
    listed = text_of(office.get(COMMISSIONS))
    for shown in (
        "$600.00 x 10 % = $60.00",
        "$199.99 x 10 % = $20.00",
        "$499.00 x 10 % = $49.90",
        "sale in doubt",
        "free",
    ):
        assert shown in listed, shown
    paid = Commission.objects.get(amount=6000)
    assert f"{LINES}{affiliate.payouts.get().pk}/change/" in text_of(
        office.get(f"{COMMISSIONS}{paid.pk}/change/")
    )
    assert [
        row.pk
        for row in office.get(COMMISSIONS, {"q": str(paid.enrollment_id)}).context["cl"].result_list
    ] == [paid.pk]


@pytest.mark.parametrize("page", [BATCHES, LINES, LEDGER, BALANCES, COMMISSIONS])
def test_a_list_costs_the_same_however_long_it_is(office: Client, page: str) -> None:
    owed()
    batch_in(PayoutBatch.RELEASED)
    office.get("/admin/")  # what the sidebar counts is kept for half a minute
    with statements() as few:
        office.get(page)
    for _ in range(3):
        owed()
        batch_in(PayoutBatch.RELEASED)
    with statements() as many:
        assert len(office.get(page).context["cl"].result_list) >= 4
    assert len(many) == len(few)


@pytest.mark.every_engine
def test_a_batch_costs_the_same_however_many_payouts_it_has(office: Client) -> None:
    costs = []
    for payees in (1, 4):
        for _ in range(payees):
            owed()
        batch = batch_in(PayoutBatch.PAID)
        office.get(url(batch))
        with statements() as asked:
            assert len(office.get(url(batch)).context["payouts"]) == payees
        costs.append(len(asked))
    assert costs[0] == costs[1]


@pytest.mark.engines("sqlite")
@pytest.mark.breaks_invariants  # the payouts are of no entries
def test_a_batch_shows_its_first_payouts_and_leads_to_all_of_them(office: Client) -> None:
    owed()
    batch = batch_in(PayoutBatch.PAID)
    users = User.objects.bulk_create(User(email=f"payee{n}@example.com") for n in range(50))
    terms = {"rate_basis_points": 1000, "terms_accepted_at": timezone.now()}
    payees = Affiliate.objects.bulk_create(
        Affiliate(user=user, email=user.email, alias_key=user.email, code=f"PAYEE{n}", **terms)
        for n, user in enumerate(users)
    )
    facts = {"batch": batch, "amount": 5000, "currency": "usd", "entry_count": 1}
    Payout.objects.bulk_create(Payout(affiliate=payee, **facts) for payee in payees)
    shown = office.get(url(batch)).context
    assert len(shown["payouts"]) == 50
    every = office.get(shown["all_url"]).context["cl"]
    assert (every.queryset.count(), len(every.result_list)) == (51, 50)


# --- commissions under review ---------------------------------------------------------------------
def offered(office: Client, commission: Commission) -> set[str]:
    page = text_of(office.get(f"{COMMISSIONS}{commission.pk}/change/"))
    return {
        decision
        for decision in ("hold", "release")
        if f"{COMMISSIONS}{commission.pk}/{decision}/" in page
    }


def test_a_commission_is_held_with_a_reason_and_released_again(office: Client, boss: User) -> None:
    affiliate = owed(60_000)
    commission = Commission.objects.get()
    page = f"{COMMISSIONS}{commission.pk}/hold/"
    assert "What is held goes into no payout" in text_of(office.get(page))
    assert office.post(page, {"decide": "1", "reason": ""}).status_code == 200
    assert not Commission.objects.get().is_under_review
    assert offered(office, commission) == {"hold"}
    for _ in range(2):
        office.post(page, {"decide": "1", "reason": "Looks odd"})
    commission.refresh_from_db()
    assert (commission.is_under_review, commission.review_note) == (
        True,
        "Looks odd (boss@example.com)",
    )
    assert balance_of(affiliate) == (0, 6000, 0, 6000)
    assert history() == [(str(commission.pk), "held for review: Looks odd")]
    assert offered(office, commission) == {"release"}
    assert "No affiliate has enough" in text_of(office.post(f"{BATCHES}draft/", form()))
    office.post(f"{COMMISSIONS}{commission.pk}/release/", {"decide": "1", "reason": "It is fine"})
    assert balance_of(affiliate) == (0, 6000, 0, 0)
    office.post(f"{BATCHES}draft/", form())
    assert amounts(PayoutBatch.objects.get()) == [6000]


@pytest.mark.every_engine
def test_many_commissions_are_held_at_once_after_a_confirmation(office: Client) -> None:
    owed(60_000, 70_000, 80_000)
    first, *others = Commission.objects.order_by("amount")
    commissions.review(first.enrollment_id, hold=True, by="other@example.com", note="Looks odd")
    keys = [str(row.pk) for row in (first, *others)]
    chosen = {"action": "hold", "_selected_action": keys}
    asked = office.post(COMMISSIONS, chosen)
    assert "What is held goes into no payout" in text_of(asked)
    assert Commission.objects.filter(is_under_review=True).count() == 1
    done = office.post(COMMISSIONS, {**chosen, "decide": "1", "reason": "Same buyer"}, follow=True)
    assert "2 held for review, 1 skipped." in text_of(done)
    assert Commission.objects.filter(is_under_review=True).count() == 3
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize("decision", ["hold", "release"])
def test_reviewing_needs_its_permission(db: None, decision: str) -> None:
    owed()
    commission = Commission.objects.get()
    if decision == "release":
        commissions.review(
            commission.enrollment_id, hold=True, by="boss@example.com", note="Looks odd"
        )
    before = Commission.objects.values().get()
    client = member("view_commission")
    page, typed = f"{COMMISSIONS}{commission.pk}/{decision}/", {"decide": "1", "reason": "R"}
    assert (client.get(page).status_code, client.post(page, typed).status_code) == (403, 403)
    act(client, "affiliates/commission", decision, commission.pk)
    client.post(
        COMMISSIONS, {**typed, "action": decision, "_selected_action": [str(commission.pk)]}
    )
    assert Commission.objects.values().get() == before
    User.objects.filter(email="clerk@example.com").delete()
    assert member("view_commission", "review_commission").post(page, typed).status_code == 302
    assert Commission.objects.get().is_under_review is (decision == "hold")


# --- the command line -----------------------------------------------------------------------------
def output_of(capsys: Any, *arguments: str) -> str:
    call_command("payouts", *arguments)
    return capsys.readouterr().out


@pytest.mark.every_engine
def test_a_batch_is_paid_from_the_command_line_by_two_persons(boss: User, capsys) -> None:
    affiliate, colleague = owed(), make_staff(email="colleague@example.com")
    drafted = output_of(
        capsys, "draft", "--currency", "usd", "--method", "bank", "--by", "Boss@example.com"
    )
    batch = PayoutBatch.objects.get()
    assert drafted == f"{batch.pk} drafted: 1 payout, $100.00\n"
    before = state()
    with pytest.raises(CommandError, match="Whoever drafted a payout cannot release it"):
        call_command("payouts", "release", str(batch.pk), "--by", boss.email)
    assert state() == before
    assert (
        output_of(capsys, "release", str(batch.pk), "--by", colleague.email)
        == f"{batch.pk} released: 1 payout, $100.00\n"
    )
    output_of(capsys, "paid", str(batch.pk), "--reference", "BANK-77", "--by", boss.email)
    batch.refresh_from_db()
    assert (batch.status, batch.reference, batch.drafted_by, batch.released_by) == (
        "paid",
        "BANK-77",
        boss,
        colleague,
    )
    assert Email.objects.filter(kind="affiliate_payout", to=affiliate.email).count() == 1
    who = list(LogEntry.objects.order_by("action_time", "pk").values_list("user__email", flat=True))
    assert who == [boss.email, colleague.email, boss.email]


def test_a_batch_is_cancelled_from_the_command_line(boss: User, capsys) -> None:
    affiliate = owed()
    batch = batch_in(PayoutBatch.RELEASED)
    assert "cancelled: 1 payout, $100.00" in output_of(
        capsys, "cancel", str(batch.pk), "--reason", "Wrong month", "--by", boss.email
    )
    assert balance_of(affiliate) == (0, 10_000, 0, 0)
    assert PayoutBatch.objects.get().cancel_reason == "Wrong month"


@pytest.mark.parametrize(
    "who", ["nobody@example.com", "learner@example.com", "clerk@example.com", "left@example.com"]
)
def test_the_command_line_takes_staff_with_the_permission_only(boss: User, who: str) -> None:
    User.objects.create_user("learner@example.com", "a long enough passphrase")
    User.objects.create_superuser("left@example.com", "a long enough passphrase")
    User.objects.filter(email="left@example.com").update(is_active=False)
    member("view_payoutbatch", "draft_payoutbatch", "settle_payoutbatch", "export_payoutbatch")
    owed()
    batch = draft()
    before = state()
    with pytest.raises(CommandError, match="none of the staff who may do this"):
        call_command("payouts", "release", str(batch.pk), "--by", who)
    assert state() == before


def test_the_command_line_says_what_is_wrong(boss: User) -> None:
    with pytest.raises(CommandError, match="No affiliate has enough"):
        call_command(
            "payouts", "draft", "--currency", "usd", "--method", "bank", "--by", boss.email
        )
    with pytest.raises(CommandError, match="no such batch"):
        call_command(
            "payouts", "release", "00000000-0000-7000-8000-000000000000", "--by", boss.email
        )
    for wrong in (
        ["release", "x"],
        ["paid", "x"],
        ["draft", "--currency", "xxx", "--method", "bank"],
        [],
    ):
        with pytest.raises(CommandError):
            call_command("payouts", *wrong, "--by", boss.email)

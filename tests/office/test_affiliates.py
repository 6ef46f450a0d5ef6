"""What staff do with affiliates in the office, and what staff without the permission cannot."""

import uuid
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import User
from affiliates import ledger, payout_drafts, payouts
from affiliates.errors import NothingToPay
from affiliates.ledger import Adjustment
from affiliates.models import Affiliate, Balance, FraudSignal, LedgerEntry, Payout
from affiliates.payout_drafts import Run
from notifications.models import Email
from tests.affiliates.make import IBAN, make_affiliate, make_staff, sell, tomorrow
from tests.affiliates.test_ledger import balance_of
from tests.concurrency import race
from tests.factories import deliver, dispute_of, disputed, make_course
from tests.office.test_lists import member
from tests.office.test_refunds import BOSS, signed_in, staff, text_of

pytestmark = pytest.mark.any_engine

__all__ = ["staff"]

LIST = "/admin/affiliates/affiliate/"
REASON = {"reason": "Ads with our name"}
DECISIONS = {
    "approve": {},
    "suspend": REASON,
    "reinstate": {},
    "close": REASON,
    "rate": {"rate": "12.5"},
    "adjust": {
        "key": str(uuid.UUID(int=1)),
        "amount": "-1.50",
        "currency": "usd",
        "note": "Bank fee",
    },
}
DECIDED_ALREADY = "That is not possible as it stands now"


def url(affiliate: Affiliate, decision: str) -> str:
    return f"{LIST}{affiliate.pk}/{decision}/"


def do(client: Client, affiliate: Affiliate, decision: str, **changes: str):
    answer = client.post(url(affiliate, decision), {**DECISIONS[decision], **changes}, follow=True)
    affiliate.refresh_from_db()
    return answer


def bulk(client: Client, decision: str, affiliates: list[Affiliate], **typed: str):
    rows = {"action": decision, "_selected_action": [str(affiliate.pk) for affiliate in affiliates]}
    return client.post(LIST, {**rows, **typed}, follow=True)


def applied(**fields) -> Affiliate:
    affiliate = make_affiliate(**fields)
    Affiliate.objects.filter(pk=affiliate.pk).update(status="applied", activated_at=None)
    affiliate.refresh_from_db()
    return affiliate


def facts_of(affiliate: Affiliate) -> tuple:
    row = (
        Affiliate.objects.filter(pk=affiliate.pk)
        .values_list("status", "status_reason", "rate_basis_points", "updated_at")
        .get()
    )
    return row, list(LedgerEntry.objects.values_list("pk", flat=True))


# --- decisions ------------------------------------------------------------------------------------
def test_approving_makes_them_active_and_welcomes_them(staff: Client) -> None:
    affiliate = applied()
    answer = do(staff, affiliate, "approve")
    assert answer.redirect_chain == [(f"{LIST}{affiliate.pk}/change/", 302)]
    assert affiliate.status == "active"
    assert affiliate.activated_at is not None
    assert Email.objects.filter(kind="affiliate_welcome", to=affiliate.email).count() == 1
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.email, entry.change_message) == (
        str(affiliate.pk),
        BOSS,
        "approved",
    )


@pytest.mark.every_engine
def test_suspending_reinstating_and_closing_keep_the_reason_and_who(staff: Client) -> None:
    affiliate = make_affiliate()
    do(staff, affiliate, "suspend")
    assert (affiliate.status, affiliate.status_reason) == ("suspended", "Ads with our name")
    do(staff, affiliate, "reinstate")
    assert (affiliate.status, affiliate.status_reason) == ("active", "")
    do(staff, affiliate, "close", reason="Left us")
    assert (affiliate.status, affiliate.status_reason) == ("closed", "Left us")
    said = list(LogEntry.objects.order_by("pk").values_list("change_message", flat=True))
    assert said == ["suspended: Ads with our name", "reinstated", "closed: Left us"]


@pytest.mark.parametrize(
    ("before", "decision"),
    [
        *[(before, "approve") for before in ("active", "suspended", "closed")],
        *[(before, "suspend") for before in ("applied", "suspended", "closed")],
        *[(before, "reinstate") for before in ("applied", "active")],
        ("closed", "close"),
    ],
)
def test_a_decision_that_is_not_due_is_refused_and_changes_nothing(
    staff: Client, before: str, decision: str
) -> None:
    affiliate = make_affiliate()
    Affiliate.objects.filter(pk=affiliate.pk).update(status=before)
    unchanged = facts_of(affiliate)
    assert DECIDED_ALREADY in text_of(do(staff, affiliate, decision))
    assert (facts_of(affiliate), LogEntry.objects.count()) == (unchanged, 0)


def test_the_rate_is_changed_for_later_sales_only(staff: Client) -> None:
    affiliate = make_affiliate()
    sell(Client(), affiliate)
    do(staff, affiliate, "rate", rate="12.5")
    assert affiliate.rate_basis_points == 1250
    assert LogEntry.objects.get().change_message == "rate changed from 10 % to 12.5 %"
    sell(Client(), affiliate)
    assert list(LedgerEntry.objects.order_by("created_at").values_list("amount", flat=True)) == [
        4990,
        6238,
    ]
    assert "The rate is 12.5 % already." in text_of(do(staff, affiliate, "rate", rate="12.50"))
    assert LogEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("typed", "points"), [("0", 0), ("50", 5000), ("50.00", 5000), ("0.01", 1), ("7.5", 750)]
)
def test_every_rate_up_to_half_can_be_set(staff: Client, typed: str, points: int) -> None:
    affiliate = make_affiliate()
    do(staff, affiliate, "rate", rate=typed)
    assert affiliate.rate_basis_points == points


@pytest.mark.parametrize(
    "wrong", ["50.01", "-1", "12.345", "1e1", "NaN", "", "10 %", "1,5", "١", "1000000000"]
)
def test_a_rate_that_is_none_is_refused(staff: Client, wrong: str) -> None:
    affiliate = make_affiliate()
    unchanged = facts_of(affiliate)
    assert do(staff, affiliate, "rate", rate=wrong).context["form"].errors
    assert (facts_of(affiliate), LogEntry.objects.count()) == (unchanged, 0)


@pytest.mark.every_engine
def test_a_balance_is_adjusted_with_a_note_by_an_entry(staff: Client) -> None:
    affiliate = make_affiliate()
    do(staff, affiliate, "adjust")
    do(staff, affiliate, "adjust", key=str(uuid.uuid4()), amount="20", note="A prize")
    do(
        staff,
        affiliate,
        "adjust",
        key=str(uuid.uuid4()),
        amount="500",
        currency="jpy",
        note="A prize",
    )
    entries = LedgerEntry.objects.order_by("created_at").values_list(
        "kind", "amount", "currency", "created_by", "note"
    )
    assert list(entries) == [
        ("adjustment", -150, "usd", BOSS, "Bank fee"),
        ("adjustment", 2000, "usd", BOSS, "A prize"),
        ("adjustment", 500, "jpy", BOSS, "A prize"),
    ]
    assert dict(Balance.objects.values_list("currency", "payable")) == {"usd": 1850, "jpy": 500}
    assert (
        LogEntry.objects.order_by("pk").first().change_message
        == "balance adjusted by −$1.50: Bank fee"
    )


def test_an_adjustment_that_is_sent_twice_is_booked_once(staff: Client) -> None:
    affiliate = make_affiliate()
    do(staff, affiliate, "adjust")
    assert "This form was sent before, and its entry is booked." in text_of(
        do(staff, affiliate, "adjust")
    )
    assert (balance_of(affiliate), LogEntry.objects.count()) == ((0, -150, 0, 0), 1)


@pytest.mark.every_engine
def test_a_double_click_on_an_adjustment_books_once(staff: Client) -> None:
    affiliate = make_affiliate()
    answers = race(
        lambda _: signed_in(BOSS).post(url(affiliate, "adjust"), DECISIONS["adjust"]).status_code,
        threads=4,
    )
    assert sorted(answers) == [200, 200, 200, 302]
    assert (balance_of(affiliate), LedgerEntry.objects.count(), LogEntry.objects.count()) == (
        (0, -150, 0, 0),
        1,
        1,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": value}
        for value in ("0", "0.00", "1e3", "12.345", "NaN", "", "+5", "$5", "--5", "9" * 30)
    ]
    + [
        {"amount": "5.00", "currency": "jpy"},
        {"currency": "sek"},
        {"note": ""},
        {"note": "  "},
        {"note": "x" * 251},
        {"key": ""},
        {"key": "1"},
    ],
    ids=str,
)
def test_an_adjustment_that_is_none_is_refused(staff: Client, wrong: dict) -> None:
    affiliate = make_affiliate()
    assert do(staff, affiliate, "adjust", **wrong).context["form"].errors
    assert (LedgerEntry.objects.count(), Balance.objects.count(), LogEntry.objects.count()) == (
        0,
        0,
        0,
    )


@pytest.mark.parametrize("decision", ["suspend", "close"])
@pytest.mark.parametrize("reason", ["", "   ", "x" * 251], ids=["none", "blank", "long"])
def test_suspending_and_closing_take_a_reason(staff: Client, decision: str, reason: str) -> None:
    affiliate = make_affiliate()
    assert do(staff, affiliate, decision, reason=reason).context["form"].errors
    assert (affiliate.status, LogEntry.objects.count()) == ("active", 0)


def test_many_are_decided_after_a_confirmation(staff: Client) -> None:
    affiliates = [applied(email=f"a{number}@example.com") for number in range(2)] + [
        make_affiliate()
    ]
    asked = bulk(staff, "approve", affiliates)
    assert "Approve: 3 affiliates" in text_of(asked)
    assert Affiliate.objects.filter(status="applied").count() == 2
    assert "2 approved, 1 skipped." in text_of(bulk(staff, "approve", affiliates, decide="1"))
    assert (Affiliate.objects.filter(status="active").count(), LogEntry.objects.count()) == (3, 2)
    assert "This field is required" in text_of(
        bulk(staff, "suspend", affiliates, decide="1", reason="")
    )
    assert "3 suspended, 0 skipped." in text_of(
        bulk(staff, "suspend", affiliates, decide="1", **REASON)
    )
    assert set(Affiliate.objects.values_list("status", "status_reason")) == {
        ("suspended", "Ads with our name")
    }
    assert "3 reinstated, 0 skipped." in text_of(bulk(staff, "reinstate", affiliates, decide="1"))
    assert "3 closed, 0 skipped." in text_of(bulk(staff, "close", affiliates, decide="1", **REASON))
    assert set(Affiliate.objects.values_list("status", flat=True)) == {"closed"}


# --- what suspending does -------------------------------------------------------------------------
def owed(affiliate: Affiliate, amount: int = 9000) -> None:
    ledger.adjust(
        affiliate,
        Adjustment(key=str(affiliate.pk), amount=amount, currency="usd", by=BOSS, note="Owed"),
    )


def run() -> Run:
    return Run("usd", Affiliate.BANK, tomorrow())


def test_a_suspended_affiliate_is_left_out_of_a_draft_until_reinstated(staff: Client) -> None:
    affiliate = make_affiliate()
    owed(affiliate)
    do(staff, affiliate, "suspend")
    with pytest.raises(NothingToPay):
        payout_drafts.draft(run(), by=make_staff())
    assert (Payout.objects.count(), balance_of(affiliate)) == (0, (0, 9000, 0, 0))
    do(staff, affiliate, "reinstate")
    assert payout_drafts.draft(run(), by=make_staff()).payouts.get().amount == 9000


def test_suspending_after_the_draft_cancels_the_payout_at_its_release(staff: Client) -> None:
    affiliate, other = make_affiliate(), make_affiliate("other@example.com")
    owed(affiliate)
    owed(other)
    batch = payout_drafts.draft(run(), by=make_staff())
    do(staff, affiliate, "suspend")
    released = payouts.release(batch, by=make_staff())
    assert [payout.affiliate_id for payout in released.payouts] == [other.pk]
    assert [payout.affiliate_id for payout in released.cancelled] == [affiliate.pk]
    assert (balance_of(affiliate), balance_of(other)) == ((0, 9000, 0, 0), (0, 0, 9000, 0))


# --- what is shown --------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_the_page_shows_the_affiliates_figures_and_never_the_account(staff: Client) -> None:
    affiliate = make_affiliate()
    _, payment = sell(Client(), affiliate, make_course(price=49900))
    deliver(Client(), disputed(dispute_of(payment, "lost")))
    sell(Client(), affiliate, make_course(price=10000))
    owed(affiliate, 1234)
    FraudSignal.objects.create(
        affiliate=affiliate, kind="same_device", dedupe_key="x", detail="Course one"
    )
    page = text_of(staff.get(f"{LIST}{affiliate.pk}/change/"))
    for text in (
        "$10.00",
        "$12.34",
        "DE•• •••• 3000",
        "1 of 2 paid ones (50.0 %)",
        "A purchase on the affiliate",
        "Course one",
        "−$49.90",
    ):
        assert text in page, text
    for model in ("ledgerentry", "commission", "payout", "fraudsignal"):
        listed = staff.get(
            f"/admin/affiliates/{model}/", {"affiliate__id__exact": str(affiliate.pk)}
        )
        assert f"/admin/affiliates/{model}/?affiliate__id__exact={affiliate.pk}" in page
        assert {row.affiliate_id for row in listed.context["cl"].result_list} <= {affiliate.pk}
    sales = staff.get("/admin/enrollments/enrollment/", {"affiliate_id": str(affiliate.pk)})
    assert len(sales.context["cl"].result_list) == 2
    for secret in (
        IBAN,
        IBAN[4:-4],
        affiliate.payout_sealed,
        affiliate.payout_key,
        affiliate.alias_key + " ",
    ):
        assert secret not in page
    for shown in (staff.get(LIST, {"q": affiliate.code}), staff.get(url(affiliate, "suspend"))):
        assert IBAN not in text_of(shown)
        assert affiliate.payout_sealed not in text_of(shown)


@pytest.mark.every_engine
def test_an_affiliate_is_found_by_name_address_code_and_id(staff: Client) -> None:
    affiliate = make_affiliate("ada@example.com", name="Ada's club")
    make_affiliate("eve@example.com", name="Eve")
    for text in (
        "Ada's",
        "ada@example.com",
        affiliate.code,
        str(affiliate.pk),
        str(affiliate.user_id),
    ):
        assert [row.pk for row in staff.get(LIST, {"q": text}).context["cl"].result_list] == [
            affiliate.pk
        ], text
    assert [
        row.pk for row in staff.get(LIST, {"status__exact": "closed"}).context["cl"].result_list
    ] == []


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("applied", {"approve", "close", "rate", "adjust"}),
        ("active", {"suspend", "close", "rate", "adjust"}),
        ("suspended", {"reinstate", "close", "rate", "adjust"}),
        ("closed", {"reinstate", "adjust"}),
    ],
)
def test_the_page_offers_what_can_be_decided_now(
    staff: Client, status: str, offered: set[str]
) -> None:
    affiliate = make_affiliate()
    Affiliate.objects.filter(pk=affiliate.pk).update(status=status)
    page = text_of(staff.get(f"{LIST}{affiliate.pk}/change/"))
    assert {decision for decision in DECISIONS if url(affiliate, decision) in page} == offered


@pytest.mark.parametrize("decision", DECISIONS)
def test_looking_at_a_page_that_changes_something_changes_nothing(
    staff: Client, decision: str
) -> None:
    affiliate = applied() if decision == "approve" else make_affiliate()
    unchanged = facts_of(affiliate)
    page = staff.get(url(affiliate, decision))
    assert (page.status_code, facts_of(affiliate), LogEntry.objects.count()) == (200, unchanged, 0)
    for text in (affiliate.email, affiliate.status, "10 %", "DE•• •••• 3000"):
        assert text in text_of(page)


@pytest.mark.parametrize("decision", DECISIONS)
def test_staff_without_the_permission_get_403_and_change_nothing(db: None, decision: str) -> None:
    affiliate = applied() if decision == "approve" else make_affiliate()
    unchanged = facts_of(affiliate)
    theirs = "adjust_affiliate" if decision not in ("rate", "adjust") else "review_affiliate"
    clerk = member("view_affiliate", "view_ledgerentry", theirs)
    assert clerk.get(f"{LIST}{affiliate.pk}/change/").status_code == 200
    assert clerk.get(url(affiliate, decision)).status_code == 403
    assert clerk.post(url(affiliate, decision), DECISIONS[decision]).status_code == 403
    assert (facts_of(affiliate), LogEntry.objects.count()) == (unchanged, 0)


@pytest.mark.parametrize("decision", DECISIONS)
def test_staff_with_the_permission_can(db: None, decision: str) -> None:
    affiliate = applied() if decision == "approve" else make_affiliate()
    if decision == "reinstate":
        Affiliate.objects.filter(pk=affiliate.pk).update(status="suspended")
    clerk = member(
        "view_affiliate",
        "adjust_affiliate" if decision in ("rate", "adjust") else "review_affiliate",
    )
    assert do(clerk, affiliate, decision).redirect_chain[0][1] == 302
    assert LogEntry.objects.get().user.email == "clerk@example.com"


def test_a_bulk_decision_without_the_permission_does_nothing(db: None) -> None:
    affiliate = make_affiliate()
    bulk(member("view_affiliate", "adjust_affiliate"), "suspend", [affiliate], decide="1", **REASON)
    affiliate.refresh_from_db()
    assert (affiliate.status, LogEntry.objects.count()) == ("active", 0)


def test_a_forged_decision_is_refused(staff: Client) -> None:
    affiliate = make_affiliate()
    for decision, typed in DECISIONS.items():
        assert (
            signed_in(BOSS, enforce_csrf_checks=True)
            .post(url(affiliate, decision), typed)
            .status_code
            == 403
        )
    affiliate.refresh_from_db()
    assert (affiliate.status, affiliate.rate_basis_points, LedgerEntry.objects.count()) == (
        "active",
        1000,
        0,
    )


def test_affiliates_and_signals_are_not_added_edited_or_deleted_by_hand(staff: Client) -> None:
    affiliate = make_affiliate()
    signal = FraudSignal.objects.create(
        affiliate=affiliate, kind="same_device", dedupe_key="x", detail="Course one"
    )
    for page, row in ((LIST, affiliate), ("/admin/affiliates/fraudsignal/", signal)):
        assert staff.get(f"{page}add/").status_code == 403
        assert (
            staff.post(
                f"{page}{row.pk}/change/", {"status": "closed", "rate_basis_points": "5000"}
            ).status_code
            == 403
        )
        assert staff.post(f"{page}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Affiliate.objects.get().status == "active"


@pytest.mark.parametrize("wrong", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_an_affiliate_that_is_not_there_is_not_found(staff: Client, wrong: str) -> None:
    for decision, typed in DECISIONS.items():
        assert staff.get(f"{LIST}{wrong}/{decision}/").status_code == 404
        assert staff.post(f"{LIST}{wrong}/{decision}/", typed).status_code == 404


def test_an_affiliate_with_a_learners_account_only_is_no_staff(db: None) -> None:
    affiliate = make_affiliate()
    for client in (Client(), signed_in(affiliate.email)):
        assert client.get(LIST).status_code == 302
        assert client.post(url(affiliate, "rate"), DECISIONS["rate"]).status_code == 302
    affiliate.refresh_from_db()
    assert affiliate.rate_basis_points == 1000


# --- their figures --------------------------------------------------------------------------------
def test_the_figures_of_affiliates_are_on_their_page_and_on_the_command_line(
    staff: Client, capsys
) -> None:
    affiliate, other = make_affiliate(), make_affiliate("other@example.com")
    applied(email="new@example.com")
    sell(Client(), affiliate)
    owed(affiliate)
    owed(other)
    payout_drafts.draft(run(), by=User.objects.get(email=BOSS))
    assert set(FraudSignal.objects.values_list("kind", flat=True)) == {"shared_account"}
    do(staff, other, "suspend")
    call_command("affiliate_status")
    printed = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert printed == {
        "affiliates applied": "1",
        "affiliates active": "1",
        "affiliates suspended": "1",
        "affiliates closed": "0",
        "pending in USD": "$49.90",
        "payable in USD": "$180.00",
        "paid in USD": "$0.00",
        "on hold in USD": "$0.00",
        "fraud signals to review": "2",
        "payout batches to release": "1",
        "payout batches to mark paid": "0",
    }
    page = text_of(staff.get(LIST))
    for label, value in printed.items():
        assert f"{label[:1].upper()}{label[1:]}" in page
        assert value in page


def test_an_old_sale_is_not_in_the_refund_rate_of_the_page(staff: Client) -> None:
    affiliate = make_affiliate()
    enrollment, payment = sell(Client(), affiliate)
    deliver(Client(), disputed(dispute_of(payment, "lost")))
    type(enrollment).objects.update(created_at=timezone.now() - timedelta(days=91))
    assert "0 of 0 paid ones (–)" in text_of(staff.get(f"{LIST}{affiliate.pk}/change/"))

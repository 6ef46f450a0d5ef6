"""Every decision of staff takes its permission, on the page of a row and in the list."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.messages.storage.fallback import FallbackStorage
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey, AuditEntry, LearnerNote, User
from affiliates.models import Affiliate, Commission, FraudSignal, Payout, PayoutBatch
from courses import lms_facts
from courses.models import Course
from enrollments import batches
from enrollments.models import AccessDifference, BatchRow, Enrollment, EnrollmentBatch
from grants.models import Grant
from legacy.models import ImportProposal
from lms_sync import breaker
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from notifications.models import Alert, AlertNotice, Email, MailState, UndeliverableAddress
from office import commissions, decisions
from office.decisions import LIST, ROWS, Decision, carry_out_each
from payments.models import Dispute, EarlyFraudWarning, Payment, RefundRequest, StripeEvent
from tests.affiliates.make import make_affiliate, make_user
from tests.affiliates.payday import draft, owed
from tests.factories import COMPLETE, make_course, make_pending
from tests.grants.make import make_application
from tests.office.test_lists import member
from tests.office.test_lms import make_job, make_letter
from tests.sandbox_client import Sandbox

# What there is to decide, and the permission that it takes.
PERMISSIONS = {
    (User, "reset_second_factor"): "accounts.reset_second_factor",
    (ApiKey, "revoke"): "accounts.revoke_apikey",
    (Affiliate, "approve"): "affiliates.review_affiliate",
    (Affiliate, "suspend"): "affiliates.review_affiliate",
    (Affiliate, "reinstate"): "affiliates.review_affiliate",
    (Affiliate, "close"): "affiliates.review_affiliate",
    (Affiliate, "rate"): "affiliates.adjust_affiliate",
    (Affiliate, "adjust"): "affiliates.adjust_affiliate",
    (Commission, "hold"): "affiliates.review_commission",
    (Commission, "release"): "affiliates.review_commission",
    (FraudSignal, "clear"): "affiliates.review_fraudsignal",
    (FraudSignal, "confirm"): "affiliates.review_fraudsignal",
    (FraudSignal, "look"): "affiliates.review_fraudsignal",
    (Payout, "cancel"): "affiliates.settle_payoutbatch",
    (PayoutBatch, "draft"): "affiliates.draft_payoutbatch",
    (PayoutBatch, "release"): "affiliates.release_payoutbatch",
    (PayoutBatch, "export"): "affiliates.export_payoutbatch",
    (PayoutBatch, "paid"): "affiliates.settle_payoutbatch",
    (PayoutBatch, "cancel"): "affiliates.settle_payoutbatch",
    (Course, "publish"): "courses.publish_course",
    (Course, "archive"): "courses.publish_course",
    (Course, "take_over"): "courses.change_course",
    (Course, "ask_lms"): "courses.change_course",
    (Course, "set_cover"): "courses.change_course",
    (Course, "remove_cover"): "courses.change_course",
    (Enrollment, "retry_sync"): "enrollments.repair_enrollment",
    (Enrollment, "roll_back"): "enrollments.repair_enrollment",
    (Enrollment, "move"): "enrollments.move_enrollment",
    (Enrollment, "correct_name"): "enrollments.move_enrollment",
    (Enrollment, "comp"): "enrollments.comp_enrollment",
    (Enrollment, "withdraw"): "enrollments.comp_enrollment",
    (Enrollment, "give_back"): "enrollments.comp_enrollment",
    (LearnerNote, "note"): "accounts.add_learnernote",
    (Payment, "refund"): "payments.refund_payment",
    (RefundRequest, "refund"): "payments.refund_payment",
    (RefundRequest, "decline"): "payments.decide_refundrequest",
    (Dispute, "count_as_lost"): "payments.decide_dispute",
    (EarlyFraudWarning, "close"): "payments.close_earlyfraudwarning",
    (StripeEvent, "retry_now"): "payments.replay_stripeevent",
    (StripeEvent, "replay"): "payments.replay_stripeevent",
    (ImportProposal, "accept"): "legacy.decide_importproposal",
    (ImportProposal, "refuse"): "legacy.decide_importproposal",
    (Grant, "approve"): "grants.decide_grant",
    (Grant, "reject"): "grants.decide_grant",
    (Grant, "reissue"): "grants.decide_grant",
    (Grant, "extend"): "grants.decide_grant",
    (Grant, "revoke"): "grants.decide_grant",
    (Grant, "move"): "grants.decide_grant",
    (AccessDifference, "repair"): "enrollments.repair_accessdifference",
    (AccessDifference, "leave"): "enrollments.repair_accessdifference",
    (AccessDifference, "repair_all"): "enrollments.repair_accessdifference",
    (EnrollmentBatch, "enroll"): "enrollments.enroll_enrollmentbatch",
    (EnrollmentBatch, "start"): "enrollments.enroll_enrollmentbatch",
    (EnrollmentBatch, "stop"): "enrollments.enroll_enrollmentbatch",
    (EnrollmentBatch, "discard"): "enrollments.enroll_enrollmentbatch",
    (BatchRow, "retry_now"): "enrollments.replay_batchrow",
    (BatchRow, "replay"): "enrollments.replay_batchrow",
    (SyncJob, "retry_now"): "lms_sync.replay_syncjob",
    (DeadLetter, "replay"): "lms_sync.replay_deadletter",
    (DeadLetter, "settle"): "lms_sync.dismiss_deadletter",
    (PlatformState, "probe_now"): "lms_sync.probe_platformstate",
    (Email, "retry_now"): "notifications.replay_email",
    (Email, "replay"): "notifications.replay_email",
    (Email, "send_again"): "notifications.replay_email",
    (MailState, "try_now"): "notifications.try_mailstate",
    (UndeliverableAddress, "release"): "notifications.release_undeliverableaddress",
    (AlertNotice, "retry_now"): "notifications.replay_alertnotice",
    (AlertNotice, "replay"): "notifications.replay_alertnotice",
}


def make_holder() -> User:
    user = make_user()
    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    return user


def make_batch() -> PayoutBatch:
    owed()
    return draft()


def make_list() -> EnrollmentBatch:
    purpose = batches.Purpose("Onboarding", "Example Works")
    return batches.draft(make_course(), b"ann@example.com,Ann", purpose=purpose, by="staff")


def make_row() -> BatchRow:
    batches.start(make_list(), by="staff")
    return BatchRow.objects.get()


def make_difference() -> AccessDifference:
    enrollment = make_pending()[0]
    facts = {"kind": "missing", "platform": "frappe", "course_id": enrollment.lms_course_id}
    return AccessDifference.objects.create(enrollment=enrollment, **facts)


def make_event() -> StripeEvent:
    return StripeEvent.objects.create(
        event_id="evt_1", type="checkout.session.completed", livemode=False, payload={}
    )


def make_dispute() -> Dispute:
    facts = {"amount": 1, "currency": "usd", "is_withdrawn": True}
    return Dispute.objects.create(
        payment=make_pending()[1], stripe_dispute_id="du_1", payment_intent_id="pi_1", **facts
    )


def make_warning() -> EarlyFraudWarning:
    return EarlyFraudWarning.objects.create(
        payment=make_pending()[1],
        stripe_warning_id="issfr_1",
        payment_intent_id="pi_1",
        is_actionable=True,
        warned_at=timezone.now(),
    )


def make_signal() -> FraudSignal:
    return FraudSignal.objects.create(
        affiliate=make_affiliate(), kind="same_device", dedupe_key="x", detail="Course one"
    )


def make_course_that_differs() -> Course:
    course = make_course(**COMPLETE)
    lms_facts.keep(course, lms_facts.Said(title="Theirs", published=True))
    return course


def make_notice() -> AlertNotice:
    alert = Alert.objects.create(key="fire", kind="fire", subject="Fire")
    return AlertNotice.objects.create(
        dedupe_key="fire:slack", alert=alert, channel="slack", action=AlertNotice.TRIGGER
    )


def make_proposal() -> ImportProposal:
    facts = {"kind": "commission_odd", "difference": 500, "currency": "usd"}
    return ImportProposal.objects.create(key="x", affiliate=make_affiliate(), **facts)


MAKE: dict[type[Model], Callable[[], Any]] = {
    User: make_holder,
    ApiKey: lambda: keys.make(make_user(), keys.Order("Bridge", ["grants:read"], 60))[0],
    Affiliate: make_affiliate,
    Commission: lambda: owed().commissions.get(),
    FraudSignal: make_signal,
    Payout: lambda: make_batch().payouts.get(),
    PayoutBatch: make_batch,
    Course: make_course_that_differs,
    Enrollment: lambda: make_pending()[0],
    Payment: lambda: make_pending()[1],
    RefundRequest: lambda: RefundRequest.objects.create(payment=make_pending()[1]),
    Dispute: make_dispute,
    EarlyFraudWarning: make_warning,
    StripeEvent: make_event,
    Grant: make_application,
    ImportProposal: make_proposal,
    AccessDifference: make_difference,
    EnrollmentBatch: make_list,
    BatchRow: make_row,
    SyncJob: make_job,
    DeadLetter: make_letter,
    LearnerNote: lambda: LearnerNote.objects.create(email="ada@example.com", text="Called"),
    PlatformState: lambda: breaker.state_of("frappe"),
    Email: lambda: Email.objects.create(
        dedupe_key="welcome:1", kind="affiliate_welcome", to="ada@example.com"
    ),
    MailState: lambda: MailState.objects.create(name="mail", state=MailState.State.REFUSING),
    UndeliverableAddress: lambda: UndeliverableAddress.objects.create(
        email="ada@example.com", reason=UndeliverableAddress.Reason.BOUNCED
    ),
    AlertNotice: make_notice,
}


def named(value: Any) -> str:
    return value if isinstance(value, str) else value._meta.model_name


def declared(model: type[Model], name: str) -> Decision:
    return admin.site._registry[model].decisions[name]


def list_of(model: type[Model]) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/"


def page_of(row: Model, name: str) -> str:
    is_about_list = declared(type(row), name).scope == LIST
    return (
        f"{list_of(type(row))}{name}/" if is_about_list else f"{list_of(type(row))}{row.pk}/{name}/"
    )


def choose(client: Client, row: Model, name: str) -> str:
    """Choose the decision for a row in the list, and return what is answered."""
    chosen = {"action": name, "_selected_action": [str(row.pk)]}
    return client.post(list_of(type(row)), chosen, follow=True).content.decode()


def clerk(*permissions: str) -> Client:
    return member(*(permission.split(".")[1] for permission in permissions))


def one_of_each_model(cases: Collection[tuple[type[Model], str]]) -> list[Any]:
    """All of them, of which every engine sees a model's first: they ask the same of its table."""
    first = dict(reversed(list(cases)))
    return [
        case if first[case[0]] == case[1] else pytest.param(*case, marks=pytest.mark.any_engine)
        for case in cases
    ]


EVERY_DECISION = pytest.mark.parametrize(
    ("model", "name"), one_of_each_model(PERMISSIONS), ids=named
)
IN_A_LIST = [case for case in PERMISSIONS if declared(*case).scope == ROWS]
WITH_A_PAGE = [
    (model, name) for model, name in PERMISSIONS if declared(model, name).needs_confirmation
]


@pytest.mark.any_engine
def test_these_are_all_the_decisions_with_their_permissions() -> None:
    pages = admin.site._registry.items()
    found = {
        (model, name): page.permission_of(each)
        for model, page in pages
        for name, each in getattr(page, "decisions", {}).items()
    }
    assert found == PERMISSIONS


@pytest.mark.breaks_invariants  # rows are made by themselves, a job without its enrollment
@EVERY_DECISION
def test_who_may_do_everything_else_may_not_decide(db: None, model: type[Model], name: str) -> None:
    row = MAKE[model]()
    views = [f"{each._meta.app_label}.view_{each._meta.model_name}" for each in MAKE]
    client = clerk(*views, *(set(PERMISSIONS.values()) - {PERMISSIONS[model, name]}))
    before = list(model._base_manager.order_by("pk").values())
    shown = client.get(f"{list_of(model)}{row.pk}/change/")
    assert shown.status_code == 200
    assert page_of(row, name) not in shown.content.decode()
    assert f'value="{name}"' not in shown.content.decode()
    listed = client.get(list_of(model)).content.decode()
    assert page_of(row, name) not in listed
    assert f'form="decide-{name}"' not in listed
    assert f'<option value="{name}"' not in listed
    answer = choose(client, row, name)
    assert ("skipped." in answer, 'name="decide"' in answer) == (False, False)
    if declared(model, name).needs_confirmation:
        assert client.get(page_of(row, name)).status_code == 403
        assert client.post(page_of(row, name), {"decide": "1"}).status_code == 403
    assert list(model._base_manager.order_by("pk").values()) == before
    assert LogEntry.objects.count() == 0
    refused = AuditEntry.objects.values_list("kind", "actor").distinct()
    assert list(refused) == [(AuditEntry.REFUSED, "clerk@example.com")]


@pytest.mark.any_engine
@pytest.mark.breaks_invariants
@pytest.mark.parametrize(("model", "name"), WITH_A_PAGE, ids=named)
def test_the_page_of_a_decision_opens_with_its_permission_alone(
    db: None, model: type[Model], name: str
) -> None:
    row = MAKE[model]()
    page = clerk(PERMISSIONS[model, name]).get(page_of(row, name))
    assert page.status_code == 200
    assert page.context["title"].startswith(declared(model, name).label)
    assert LogEntry.objects.count() == 0


@pytest.mark.breaks_invariants
@pytest.mark.parametrize(("model", "name"), one_of_each_model(IN_A_LIST), ids=named)
def test_a_list_offers_a_decision_to_who_has_its_permission(
    db: None, sandbox: Sandbox, model: type[Model], name: str
) -> None:
    row = MAKE[model]()
    client = clerk(
        f"{model._meta.app_label}.view_{model._meta.model_name}", PERMISSIONS[model, name]
    )
    assert f'<option value="{name}"' in client.get(list_of(model)).content.decode()
    answer = choose(client, row, name)
    if declared(model, name).needs_confirmation:
        assert f"{declared(model, name).label}: 1 " in answer
        assert 'name="decide"' in answer
        assert LogEntry.objects.count() == 0
    else:
        assert "skipped." in answer or "The worker probes " in answer


def test_a_refusal_shows_what_was_typed_and_leaves_no_entry(db: None) -> None:
    """Somebody else has closed the affiliate while the form was filled in."""
    affiliate = make_affiliate()
    Affiliate.objects.update(status="closed")
    answer = clerk("affiliates.review_affiliate").post(
        page_of(affiliate, "suspend"), {"decide": "1", "reason": "Ads with our name"}
    )
    assert "That is not possible as it stands now" in answer.content.decode()
    assert answer.context["form"]["reason"].value() == "Ads with our name"
    assert LogEntry.objects.count() == 0


@pytest.mark.any_engine
def test_each_row_has_its_own_entry_and_a_refusal_says_why_once(db: None) -> None:
    """Nobody holds what they earned themselves: the rest is held, and the reason is given once."""
    owed()
    client = clerk("affiliates.view_commission", "affiliates.review_commission")
    own = owed()
    Affiliate.objects.filter(pk=own.pk).update(user=User.objects.get(email="clerk@example.com"))
    chosen = {
        "action": "hold",
        "_selected_action": [str(row.pk) for row in Commission.objects.all()],
        "decide": "1",
        "reason": "Odd",
    }
    answer = client.post(list_of(Commission), chosen, follow=True)
    assert [str(message) for message in answer.context["messages"]] == [
        "1 held for review, 1 skipped.",
        "Your own affiliate account is concerned. Please ask a colleague to do this.",
    ]
    entry = LogEntry.objects.get()
    assert (entry.user, entry.change_message) == (
        User.objects.get(email="clerk@example.com"),
        "held for review: Odd",
    )
    assert not Commission.objects.get(affiliate=own).is_under_review


@pytest.mark.any_engine
@pytest.mark.breaks_invariants
def test_of_a_list_whose_rows_are_all_chosen_so_many_are_taken_at_once(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault G9: a million rows were read into one request."""
    monkeypatch.setattr(decisions, "MOST_ROWS", 2)
    for number in range(3):
        Email.objects.create(dedupe_key=str(number), kind="x", to="a@example.com", status="dead")
    client = clerk("notifications.view_email", "notifications.replay_email")
    first = str(Email.objects.first().pk)
    chosen = {"action": "replay", "_selected_action": [first], "select_across": "1"}
    answer = client.post(list_of(Email), chosen, follow=True)
    assert {str(message) for message in answer.context["messages"]} == {
        "2 are taken at once. Choose the rest of them again afterwards.",
        "2 replayed, 0 skipped.",
    }
    assert Email.objects.filter(status="dead").count() == 1


def test_rows_for_which_no_time_is_left_are_named_and_not_decided(rf: Any, db: None) -> None:
    """As where Stripe hangs, and each of fifty refunds waits for it; the first is always tried."""
    owed(100_000, 100_000, 100_000)
    asked = [(row, {"reason": "Odd"}) for row in Commission.objects.all()]
    request = rf.post("/")
    request.user, request.session = make_user(is_staff=True), {}
    request._messages = FallbackStorage(request)
    carry_out_each(commissions.HOLD, request, asked, within=timedelta(0))
    assert [str(message) for message in request._messages] == [
        "2 not decided: the others took too long. Choose them again in a moment.",
        "1 held for review, 0 skipped.",
    ]
    assert Commission.objects.filter(is_under_review=True).count() == 1

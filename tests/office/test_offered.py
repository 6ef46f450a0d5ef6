"""A decision is offered where it can be carried out, and not where it would only be refused."""

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey
from affiliates.models import Affiliate, Commission, FraudSignal, Payout, PayoutBatch
from courses.models import Course
from enrollments.models import AccessDifference, BatchRow, Enrollment, EnrollmentBatch
from grants.models import Grant
from legacy.models import ImportProposal
from lms_sync.models import DeadLetter, PlatformState, SyncJob
from notifications.models import Email, MailState
from office.cells import url_of
from office.decisions import LIST
from payments.models import Dispute, EarlyFraudWarning, Payment, RefundRequest
from tests.affiliates.make import make_staff
from tests.office.test_decisions import MAKE, make_holder

pytestmark = [pytest.mark.any_engine, pytest.mark.breaks_invariants]

NOW = timezone.now()
PAID, FAILED = {"status": "paid"}, {"status": "paid", "lms_status": "failed"}
# Of each state: the fields of a row, and what is offered then.
TABLE: list[tuple[type[Model], dict[str, Any], str]] = [
    (ApiKey, {}, "revoke"),
    (ApiKey, {"revoked_at": NOW}, ""),
    (Affiliate, {"status": "applied"}, "adjust approve close rate"),
    (Affiliate, {"status": "active"}, "adjust close rate suspend"),
    (Affiliate, {"status": "suspended"}, "adjust close rate reinstate"),
    (Affiliate, {"status": "closed"}, "adjust reinstate"),
    (Commission, {}, "hold"),
    (Commission, {"is_under_review": True}, "release"),
    (FraudSignal, {"status": "open"}, "clear confirm"),
    (FraudSignal, {"status": "cleared"}, "confirm"),
    (FraudSignal, {"status": "confirmed"}, "clear"),
    (Payout, {"status": "draft"}, "cancel"),
    (Payout, {"status": "cancelled"}, ""),
    (PayoutBatch, {"status": "draft"}, "cancel release"),
    (PayoutBatch, {"status": "released"}, "cancel export paid"),
    (PayoutBatch, {"status": "paid"}, "export"),
    (PayoutBatch, {"status": "cancelled"}, ""),
    (Course, {"status": "draft"}, "publish set_cover take_over"),
    (Course, {"status": "published"}, "archive set_cover take_over"),
    (Course, {"status": "archived"}, "publish set_cover take_over"),
    (Course, {"status": "draft", "lms_facts_at": None}, "ask_lms set_cover"),
    (Course, {"status": "draft", "outcomes": []}, "set_cover take_over"),
    (Course, {"status": "draft", "summary": ""}, "set_cover take_over"),
    (Course, {"status": "draft", "cover": "x.webp"}, "publish remove_cover set_cover take_over"),
    (Enrollment, {"status": "pending"}, "correct_name"),
    (Enrollment, PAID, "correct_name move retry_sync"),
    (Enrollment, {**PAID, "lms_status": "success"}, "correct_name move"),
    (Enrollment, {**PAID, "amount": 0}, "correct_name move retry_sync withdraw"),
    (Enrollment, FAILED, "correct_name move retry_sync"),
    (Enrollment, {**FAILED, "kind": "grant"}, "correct_name move retry_sync roll_back"),
    (Enrollment, {"status": "withdrawn"}, "correct_name give_back"),
    (Enrollment, {"status": "refunded"}, "correct_name"),
    (Payment, {"status": "pending"}, ""),
    (Payment, {**PAID, "amount_received": 500}, "refund"),
    (Payment, {**PAID, "amount_received": 500, "refund_committed": 500}, ""),
    (RefundRequest, {"status": "open"}, "decline refund"),
    (RefundRequest, {"status": "declined"}, ""),
    (Dispute, {"status": "warning"}, "count_as_lost"),
    (Dispute, {"status": "warning", "is_withdrawn": False}, ""),
    (Dispute, {"status": "lost"}, ""),
    (EarlyFraudWarning, {}, "close"),
    (EarlyFraudWarning, {"closed_at": NOW}, ""),
    (ImportProposal, {}, "accept refuse"),
    (ImportProposal, {"affiliate": None}, "refuse"),
    (ImportProposal, {"status": "refused"}, ""),
    (Grant, {"status": "pending"}, "approve move reject"),
    (Grant, {"status": "approved"}, "extend move reissue revoke"),
    (Grant, {"status": "redeemed"}, ""),
    (AccessDifference, {"status": "open"}, "leave repair"),
    (AccessDifference, {"status": "open", "kind": "double"}, "leave"),
    (AccessDifference, {"status": "left"}, "repair"),
    (AccessDifference, {"status": "settled"}, ""),
    (EnrollmentBatch, {"status": "draft"}, "discard start"),
    (EnrollmentBatch, {"status": "draft", "course.status": "archived"}, "discard"),
    (EnrollmentBatch, {"status": "started"}, "stop"),
    (EnrollmentBatch, {"status": "stopped"}, ""),
    (BatchRow, {"status": "done"}, ""),
    (SyncJob, {"status": "pending"}, "retry_now"),
    (SyncJob, {"status": "dead"}, "retry_now"),
    (SyncJob, {"status": "done"}, ""),
    (DeadLetter, {"status": "open"}, "replay settle"),
    (DeadLetter, {"status": "replayed"}, ""),
    (DeadLetter, {"status": "dismissed"}, "replay"),
    (PlatformState, {"state": "closed"}, "probe_now"),
    (PlatformState, {"probe_asked_at": NOW}, ""),
    (MailState, {"state": "answering"}, ""),
    (MailState, {"state": "refusing"}, "try_now"),
    (Email, {"status": "pending"}, "retry_now"),
    (Email, {"status": "dead"}, "replay"),
    (Email, {"status": "done"}, "send_again"),
    (Email, {"status": "done", "kind": "enrollment_moved"}, ""),
]


@pytest.mark.parametrize("model", dict.fromkeys(model for model, _, _ in TABLE))
def test_each_state_offers_what_it_allows(db: None, model: type[Model]) -> None:
    row, page = MAKE[model](), admin.site._registry[model]
    decisions = [(name, each) for name, each in page.decisions.items() if each.scope != LIST]
    found, expected = [], []
    for fields, offered in [(fields, offered) for each, fields, offered in TABLE if each is model]:
        state = page.get_queryset(None).get(pk=row.pk)
        for name, value in fields.items():
            about = state.course if name.startswith("course.") else state
            setattr(about, name.removeprefix("course."), value)
        names = [name for name, each in sorted(decisions) if page.is_offered(each, state)]
        found.append((fields, " ".join(names)))
        expected.append((fields, offered))
    assert found == expected


@pytest.mark.every_engine
def test_nobody_is_offered_to_take_their_own_second_factor_away(db: None) -> None:
    client, holder = Client(), make_holder()
    boss = make_staff(email="boss@example.com")
    client.force_login(boss)
    assert "reset_second_factor/" in client.get(url_of(holder)).content.decode()
    Authenticator.objects.update(user=boss)
    assert "reset_second_factor/" not in client.get(url_of(boss)).content.decode()

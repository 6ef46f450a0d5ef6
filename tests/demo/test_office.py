"""The demo's office: one command makes every case through the shop's own processes, once."""

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from affiliates.models import Affiliate, FraudSignal, PayoutBatch
from enrollments.models import Enrollment
from grants.messages import unknown_words
from grants.models import Grant, MessageTemplate
from lms_sync.models import DeadLetter
from maaledu.work.items import DEAD
from notifications.models import Email
from payments.models import (
    Dispute,
    EarlyFraudWarning,
    Payment,
    Refund,
    RefundRequest,
    StripeEvent,
)
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.engines("sqlite")]


def fill() -> None:
    for command in ("seed_demo", "demo_partner", "seed_office"):
        call_command(command, verbosity=0)


def counts() -> list[int]:
    models = (Enrollment, Payment, Grant, Email, StripeEvent, Refund, DeadLetter, FraudSignal)
    return [model.objects.count() for model in models]


def test_the_office_has_something_of_everything_and_a_second_run_adds_nothing(
    sandbox: Sandbox, client: Client
) -> None:
    fill()
    assert set(Grant.objects.values_list("status", flat=True)) == set(Grant.TRANSITIONS)
    assert DeadLetter.objects.open().count() == 2
    assert Dispute.objects.waiting_for_answer().exists()
    assert EarlyFraudWarning.objects.open().count() == 1
    assert set(Refund.objects.values_list("status", flat=True)) == {"succeeded", "failed"}
    assert RefundRequest.objects.undecided().count() == 1
    assert Email.objects.filter(status=DEAD).values_list("to", flat=True).get() == (
        "will.smiht@example.com"
    )
    assert set(FraudSignal.objects.values_list("kind", flat=True)) == {
        "same_device",
        "shared_account",
    }
    assert PayoutBatch.objects.filter(status=PayoutBatch.DRAFT).count() == 1
    assert Affiliate.objects.count() == 2
    assert {event.status for event in StripeEvent.objects.all()} == {"done"}
    past = Payment.objects.filter(stripe_session_id__startswith="cs_demo_")
    assert past.filter(enrollment__affiliate_id=None).count() == 96
    assert client.login(username="learner@maaledu.example", password="sandbox-learner-only")
    assert "Public Service Fund" in client.get("/grants/").content.decode()
    assert MessageTemplate.objects.count() == 3
    for each in MessageTemplate.objects.all():
        assert unknown_words(each.text, each.used_for) == []
    before = counts()
    fill()
    assert counts() == before
    sandbox_faults = sandbox.state("faults")["faults"]
    assert sandbox_faults == []


def test_it_refuses_without_a_sandbox_without_the_demo_and_in_production(settings) -> None:
    with pytest.raises(CommandError, match="run seed_demo and demo_partner first"):
        call_command("seed_office")
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="does not run in production"):
        call_command("seed_office")
    assert counts() == [0] * 8

"""What takes money or access from somebody, or cannot be taken back, asks why, and that is kept."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Model

from accounts.models import ApiKey, AuditEntry, User
from affiliates.models import Affiliate, Commission, Payout, PayoutBatch
from enrollments import batches, by_staff
from enrollments.models import AccessDifference, Enrollment, EnrollmentBatch
from grants.models import Grant
from legacy.models import ImportProposal
from lms_sync.models import DeadLetter
from payments.models import Dispute, EarlyFraudWarning
from tests.factories import make_course
from tests.grants.make import make_coupon
from tests.office.test_decisions import MAKE, PERMISSIONS, clerk, make_list, named, page_of

pytestmark = [pytest.mark.any_engine, pytest.mark.breaks_invariants]

WHY = "Agreed by phone"
REASON, NOTE = {"reason": WHY}, {"note": WHY}
# Of each: what its form is sent with, and what the change log then says of why.
CASES: dict[tuple[type[Model], str], tuple[dict[str, str], str]] = {
    (User, "reset_second_factor"): (REASON, WHY),
    (ApiKey, "revoke"): (REASON, WHY),
    (Affiliate, "suspend"): (REASON, WHY),
    (Affiliate, "close"): (REASON, WHY),
    (Commission, "hold"): (REASON, WHY),
    (Payout, "cancel"): (REASON, WHY),
    (PayoutBatch, "cancel"): (REASON, WHY),
    (Enrollment, "withdraw"): (REASON, WHY),
    (Dispute, "count_as_lost"): (REASON, WHY),
    (EarlyFraudWarning, "close"): (REASON, WHY),
    (ImportProposal, "accept"): (REASON, WHY),
    (ImportProposal, "refuse"): (REASON, WHY),
    (Grant, "revoke"): (REASON, WHY),
    (Grant, "reject"): (
        {"reason": "budget", **NOTE},
        f"The fund for this period is used up: {WHY}",
    ),
    (AccessDifference, "leave"): (REASON, WHY),
    (EnrollmentBatch, "stop"): (REASON, WHY),
    (DeadLetter, "settle"): ({"how": DeadLetter.REFUNDED, **NOTE}, WHY),
}


def enrolled_for_free() -> Enrollment:
    guest = by_staff.Guest("ada@example.com", "Ada", "A colleague")
    return by_staff.comp(make_course(), guest, by="staff")


def started() -> EnrollmentBatch:
    batch = make_list()
    batches.start(batch, by="staff")
    return batch


MAKE_DECIDABLE: dict[tuple[type[Model], str], Callable[[], Any]] = {
    (Enrollment, "withdraw"): enrolled_for_free,
    (Grant, "revoke"): make_coupon,
    (EnrollmentBatch, "stop"): started,
}


@pytest.mark.parametrize(
    ("model", "name"), [case for case in CASES if case[0] is not DeadLetter], ids=named
)
def test_a_decision_that_takes_something_asks_why_and_the_change_log_keeps_it(
    db: None, model: type[Model], name: str
) -> None:
    asks_why_and_keeps_it(model, name)


@pytest.mark.every_engine
def test_settling_a_letter_without_an_enrollment_asks_why_and_the_change_log_keeps_it(
    db: None,
) -> None:
    asks_why_and_keeps_it(DeadLetter, "settle")


def asks_why_and_keeps_it(model: type[Model], name: str) -> None:
    row = MAKE_DECIDABLE.get((model, name), MAKE[model])()
    client, (sent, why) = clerk(PERMISSIONS[model, name]), CASES[model, name]
    before = model._base_manager.filter(pk=row.pk).values().get()
    answer = client.post(page_of(row, name), {"decide": "1"})
    assert sent.keys() & answer.context["form"].errors.keys()
    assert model._base_manager.filter(pk=row.pk).values().get() == before
    client.post(page_of(row, name), {"decide": "1", **sent})
    assert AuditEntry.objects.get(row_id=str(row.pk)).reason == why

"""The office's search: what is typed says what it can be, and only that is looked up."""

import re
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from accounts.models import User
from enrollments.models import Enrollment
from notifications.models import Email
from office.learner_search import search
from office.search_keys import BEGINNING, look_ups
from payments.models import Dispute, EarlyFraudWarning, Payment, Refund, StripeEvent
from tests.affiliates.make import make_affiliate
from tests.factories import (
    completed,
    deliver,
    dispute_of,
    disputed,
    make_course,
    make_pending,
    refund_of,
    refunded,
)
from tests.grants.make import make_coupon
from tests.office.test_learner_page import boss, clerk, text_of
from tests.statements import statements

__all__ = ["boss"]
ADA = "ada@example.com"
FIND = "/admin/learners/"


def every_key(buyer: Client) -> dict[str, str]:
    """Make a learner with everything, and return each key of theirs by what it is."""
    enrollment, payment = make_pending(email=ADA, name="Ada Lovelace")
    Enrollment.objects.filter(pk=enrollment.pk).update(lms_enrollment_id="LMS-ENR-0001")
    deliver(buyer, completed(payment))
    payment.refresh_from_db()
    deliver(buyer, refunded(refund_of(payment, 1000)))
    deliver(buyer, disputed(dispute_of(payment)))
    make_pending(email="ben@example.com", name="Ben Nevis")
    grant = make_coupon(email=ADA, course=make_course())
    grant.code = "MAAL-JLQJ-MLKK-ZVPW"  # one of thirty has no digit
    grant.save(update_fields=["code"])
    affiliate = make_affiliate(email=ADA)
    refund, dispute = Refund.objects.get(), Dispute.objects.get()
    return {
        "address": ADA,
        "address as typed": " Ada@Example.com ",
        "begin of an address": "ada@ex",
        "name": "Ada Lovelace",
        "begin of a name": "ada l",
        "session": payment.stripe_session_id,
        "intent": payment.stripe_payment_intent_id,
        "event": StripeEvent.objects.exclude(session_id="").get().event_id,
        "refund": refund.stripe_refund_id,
        "refund by our id": str(refund.pk),
        "dispute": dispute.stripe_dispute_id,
        "enrollment": str(enrollment.pk),
        "payment": str(payment.pk),
        "grant": str(grant.pk),
        "coupon": grant.code,
        "coupon as typed": grant.code.lower().replace("-", " "),
        "affiliate's code": affiliate.code,
        "token": enrollment.token,
        "LMS enrollment": "LMS-ENR-0001",
        "sender as mail programs write it": f"Ada Lovelace <{ADA}>",
        "address of the learner's own page": f"{enrollment.status_link}?from=mail",
        "address of a page at Stripe": (
            f"https://dashboard.stripe.com/payments/{payment.stripe_payment_intent_id}"
        ),
    }


@pytest.mark.breaks_invariants  # an LMS enrollment without its job
def test_every_key_finds_its_learner_and_no_other(boss: Client, buyer: Client) -> None:
    for what, typed in every_key(buyer).items():
        found = search(typed, lambda permission: True)
        assert {row.email for row in found} == {ADA}, what
        with statements() as asked:
            answer = boss.get(FIND, {"q": typed})
        assert len(asked) <= 5, what
        if not what.startswith("begin") and what != "name":
            assert answer["Location"] == f"{FIND}{ADA}/", what
        box = boss.get("/admin/search/", {"s": typed, "extended": "1"})
        assert f'href="{FIND}{ADA}/"' in box.content.decode(), what


@pytest.mark.parametrize(
    "typed",
    ["", " ", "x", "%", "\x00", "a" * 500, "nobody@example.com", "cs_test_nothing", "' OR 1=1 --"],
)
def test_whatever_is_typed_nothing_breaks_and_nobody_else_is_found(
    boss: Client, typed: str
) -> None:
    make_pending(email=ADA)
    answer = boss.get(FIND, {"q": typed})
    assert answer.status_code == (400 if "\x00" in typed else 200)
    assert ADA not in answer.content.decode()
    box = boss.get("/admin/search/", {"s": typed, "extended": "1"})
    assert box.status_code == answer.status_code


@pytest.mark.any_engine
def test_what_is_exact_comes_first_and_a_beginning_is_a_list(boss: Client) -> None:
    make_pending(email="ada@example.co", name="Ada King")
    make_pending(email="ada@example.com", name="Ada Lovelace")
    assert [row.email for row in search("ada@example.co", lambda permission: True)] == [
        "ada@example.co",
        "ada@example.com",
    ]
    assert boss.get(FIND, {"q": "ada@example.co"})["Location"] == f"{FIND}ada@example.co/"
    page = text_of(boss.get(FIND, {"q": "Ada"}))
    assert "ada@example.co Learner: Ada King" in page
    assert "ada@example.com Learner: Ada Lovelace" in page


def test_only_what_one_may_look_at_is_searched(db: None) -> None:
    _, payment = make_pending(email=ADA)
    client = clerk("view_enrollment")
    assert client.get(FIND, {"q": ADA})["Location"] == f"{FIND}{ADA}/"
    assert "Nothing was found" in text_of(client.get(FIND, {"q": payment.stripe_session_id}))
    User.objects.all().delete()
    stranger = clerk("view_payment")
    assert stranger.get(FIND, {"q": ADA}).status_code == 403
    box = stranger.get("/admin/search/", {"s": ADA, "extended": "1"})
    assert ADA not in box.content.decode()


@pytest.mark.any_engine
def test_a_search_has_at_most_so_many_rows(db: None) -> None:
    course = make_course()
    for number in range(25):
        make_pending(course, email=f"ada{number}@example.com", name="Ada")
    assert len(search("ada", lambda permission: True)) == 20


def explained(model: type[Any], rows: Any) -> str:
    """Return the plan that PostgreSQL has where a table is too large to be read as a whole."""
    found = model._default_manager.filter(rows).order_by().values("pk")[:20]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        return found.explain()


@pytest.mark.engines("postgres")
@pytest.mark.parametrize(
    "typed",
    [
        ADA,
        "ada@ex",
        "Ada Love",
        "MAAL-AAAA-BBBB-CCCC",
        "abcdefgh",
        "01930000-0000-7000-8000-000000000000",
        *(f"{kind}_1a" for kind in ("cs", "pi", "re", "du", "issfr", "evt")),
    ],
)
def test_each_look_up_goes_by_an_index(db: None, typed: str) -> None:
    for each in look_ups(typed):
        plan = explained(each.key.model, each.rows)
        assert "Seq Scan" not in plan, plan
        assert "Index Cond" in plan, plan
        if each.rank == BEGINNING:
            assert "~>=~" in plan, plan


@pytest.mark.any_engine
def test_a_whole_id_asks_one_table_alone() -> None:
    for typed, model in (
        ("cs_test_a1B2", Payment),
        ("re_1A", Refund),
        ("du_1A", Dispute),
        ("issfr_1A", EarlyFraudWarning),
        ("evt_1A", StripeEvent),
    ):
        assert [each.key.model for each in look_ups(typed)] == [model]
    assert Email in [each.key.model for each in look_ups(ADA)]
    assert re.search("payload", str([each.rows for each in look_ups(ADA)])) is None

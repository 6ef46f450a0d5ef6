"""Idempotency-Key (issue 12, point 3): the same request is answered as it was the first time."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from affiliates.models import Affiliate
from enrollments.models import Enrollment
from grants.models import Grant
from maaledu import idempotency
from maaledu.models import IdempotentAnswer
from notifications.models import Email
from tests.affiliates.make import make_user
from tests.api.asking import APPLICATION, make_key, make_worker, post, refused, signed_in, with_key
from tests.concurrency import race
from tests.factories import make_course
from tests.sandbox_client import Sandbox

JOINING = {"name": "Ada's club", "taxCountry": "DE", "payoutMethod": "later", "acceptTerms": True}
KEY = {"Idempotency-Key": "order-1"}
REGISTER, GRANTS = "/api/affiliate/register", "/api/grants"


def test_twenty_at_once_make_one_and_later_ones_get_its_answer(db: None) -> None:
    user = make_user("ada@example.com")
    clients = [signed_in(user) for _ in range(20)]
    answers = race(lambda n: post(clients[n], REGISTER, JOINING, **KEY), threads=20)
    made = [answer for answer in answers if answer.status_code == 201]
    others = [refused(answer) for answer in answers if answer.status_code != 201]
    assert made
    assert set(others) <= {(409, "IDEMPOTENCY_KEY_IN_USE")}
    assert (Affiliate.objects.count(), Email.objects.count()) == (1, 1)
    again = post(clients[0], REGISTER, JOINING, **KEY)
    assert (again.status_code, again.content) == (201, made[0].content)
    assert again["Idempotent-Replayed"] == "true"
    control = race(lambda n: post(clients[n], REGISTER, JOINING), threads=4)
    assert {refused(answer) for answer in control} == {(409, "ALREADY_AFFILIATE")}


@pytest.mark.any_engine
def test_a_checkout_that_is_sent_again_has_one_enrollment_and_one_answer(
    buyer: Client, sandbox: Sandbox
) -> None:
    body = {"courseId": make_course().slug, "email": "ada@example.com", "acceptTerms": True}
    first, again = (post(buyer, "/api/checkout", body, **KEY) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content  # with the secret link, which a second checkout lacks
    assert first.json()["statusUrl"] == Enrollment.objects.get().status_link
    other = post(buyer, "/api/checkout", {**body, "email": "eve@example.com"}, **KEY)
    assert refused(other) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert Enrollment.objects.count() == 1


def test_a_key_is_its_senders_alone(db: None) -> None:
    body = {**APPLICATION, "courseId": make_course().slug}
    _, text = make_key(make_worker(), "grants:write")
    program, near, far = with_key(text), Client(), Client(REMOTE_ADDR="192.0.2.9")
    ada = signed_in(make_user("ada@example.com"))
    answers = [post(each, GRANTS, body, **KEY) for each in (program, near, far, ada)]
    assert not any(answer.has_header("Idempotent-Replayed") for answer in answers)
    assert post(Client(), GRANTS, body, **KEY)["Idempotent-Replayed"] == "true"
    assert IdempotentAnswer.objects.count() == 4


def test_a_refusal_is_decided_anew_and_leaves_the_key_free(db: None, client: Client) -> None:
    wrong = {**APPLICATION, "courseId": "nowhere"}
    assert refused(post(client, GRANTS, wrong, **KEY)) == (404, "COURSE_NOT_FOUND")
    right = {**wrong, "courseId": make_course().slug}
    assert post(client, GRANTS, right, **KEY).status_code == 202
    elsewhere = post(client, "/api/checkout", right, **KEY)
    assert refused(elsewhere) == (409, "IDEMPOTENCY_KEY_REUSED")
    for key in ("", "x" * 256, "schlüssel", "a\tb"):
        answer = post(client, GRANTS, right, **{"Idempotency-Key": key})
        assert refused(answer) == (400, "IDEMPOTENCY_KEY_INVALID"), key


def test_a_request_whose_process_was_lost_is_run_by_the_next_and_only_then(
    db: None, client: Client
) -> None:
    body = {**APPLICATION, "courseId": make_course().slug}
    assert post(client, GRANTS, body, **KEY).status_code == 202
    IdempotentAnswer.objects.update(http_status=None, body="")
    busy = post(client, GRANTS, body, **KEY)
    assert (refused(busy), busy["Retry-After"]) == ((409, "IDEMPOTENCY_KEY_IN_USE"), "1")
    IdempotentAnswer.objects.update(held_until=timezone.now() - timedelta(seconds=1))
    answers = race(lambda _: post(Client(), GRANTS, body, **KEY), threads=4)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 202
    assert set(statuses) <= {202, 409}
    kept = IdempotentAnswer.objects.get()
    assert (kept.http_status, kept.fence, Grant.objects.count()) == (202, 1, 1)


def test_answers_are_kept_for_a_day(db: None, client: Client) -> None:
    body = {**APPLICATION, "courseId": make_course().slug}
    post(client, GRANTS, body, **KEY)
    now = timezone.now()
    IdempotentAnswer.objects.update(created_at=now - timedelta(hours=23, minutes=59))
    assert idempotency.forget_old() == 0
    assert post(client, GRANTS, body, **KEY)["Idempotent-Replayed"] == "true"
    IdempotentAnswer.objects.update(created_at=now - timedelta(hours=24, seconds=1))
    assert idempotency.forget_old() == 1
    assert not post(client, GRANTS, body, **KEY).has_header("Idempotent-Replayed")

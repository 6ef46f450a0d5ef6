"""The link of the approval's mail.

Whoever came through it is not kept from the coupon by strangers who guess for its address.
"""

import re
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from grants.codes import new_code
from grants.models import Grant
from tests.factories import make_course
from tests.grants.make import HOLDER, make_coupon

pytestmark = pytest.mark.any_engine

PROOF = re.compile(r'name="proof" value="(\w{64})"')
OTHER = "other@example.com"
PER_EMAIL = 3


@pytest.fixture(autouse=True)
def _limits(settings) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "coupon_email": f"{PER_EMAIL}/1d"}


def send(path: str, form: dict[str, Any], number: int) -> HttpResponse:
    """Send a form from an address of its own."""
    return Client().post(path, form, headers={"X-Forwarded-For": f"198.51.{number}.1"})


def used_up_by_strangers(grant: Grant) -> None:
    form = {"email": grant.email, "coupon": new_code()}
    answers = [
        send(f"/checkout/{grant.course.slug}/coupon/", form, number)
        for number in range(PER_EMAIL + 1)
    ]
    assert [answer.status_code for answer in answers] == [409] * PER_EMAIL + [429]


def proof_in(page: HttpResponse) -> str:
    (proof,) = PROOF.findall(page.content.decode())
    return proof


def open_link(grant: Grant) -> HttpResponse:
    return Client().get(f"/checkout/{grant.course.slug}/", {"grant": grant.token})


def test_strangers_do_not_keep_the_holder_of_the_link_from_the_coupon(buyer: Client) -> None:
    grant = make_coupon(percent=100)
    used_up_by_strangers(grant)
    url, proof = f"/checkout/{grant.course.slug}/", proof_in(open_link(grant))
    typed = {"email": HOLDER, "coupon": grant.code.lower(), "accept_terms": "on"}
    assert send(url, typed, 10).status_code == 429
    checked = send(f"{url}coupon/", {**typed, "proof": proof}, 10)
    assert (checked.status_code, proof_in(checked)) == (200, proof)
    forgotten = send(url, {**typed, "proof": proof, "accept_terms": ""}, 10)
    assert (forgotten.status_code, proof_in(forgotten)) == (400, proof)
    assert send(url, {**typed, "proof": proof}, 10).status_code == 302
    grant.refresh_from_db()
    assert grant.status == "redeemed"


def test_a_proof_is_of_one_address_and_one_code() -> None:
    """It lets nobody guess: each try of another code or address counts as it did."""
    course = make_course()
    grant, other = make_coupon(course), make_coupon(course, email=OTHER)
    used_up_by_strangers(grant)
    used_up_by_strangers(other)
    proof = proof_in(open_link(grant))
    tries: list[dict[str, Any]] = [
        {"email": HOLDER, "coupon": new_code(), "proof": proof},
        {"email": OTHER, "coupon": grant.code, "proof": proof},
        {"email": OTHER, "coupon": other.code, "proof": proof},
        *(
            {"email": HOLDER, "coupon": grant.code, "proof": made_up}
            for made_up in (proof.upper(), proof + "x", "é" * 64, "\0", "")
        ),
        {"email": HOLDER, "coupon": grant.code, "proof": [proof, ""]},
    ]
    answers = [
        send(f"/checkout/{course.slug}/coupon/", form, 20 + number).status_code
        for number, form in enumerate(tries)
    ]
    assert answers == [429] * len(tries)
    assert Grant.objects.filter(status="approved").count() == 2


def test_a_new_code_needs_the_new_link(buyer: Client) -> None:
    grant = make_coupon()
    proof = proof_in(open_link(grant))
    used_up_by_strangers(grant)
    Grant.objects.filter(pk=grant.pk).update(code="MAAL-AAAA-BBBB-CCCC")
    form = {"email": HOLDER, "coupon": "MAAL-AAAA-BBBB-CCCC"}
    assert (
        send(f"/checkout/{grant.course.slug}/coupon/", {**form, "proof": proof}, 10).status_code
        == 429
    )
    assert (
        send(
            f"/checkout/{grant.course.slug}/coupon/",
            {**form, "proof": proof_in(open_link(grant))},
            10,
        ).status_code
        == 200
    )


def test_the_clients_own_limit_counts_with_a_proof_too() -> None:
    grant = make_coupon()
    form = {"email": HOLDER, "coupon": grant.code, "proof": proof_in(open_link(grant))}
    answers = [
        send(f"/checkout/{grant.course.slug}/coupon/", form, 10).status_code for _ in range(6)
    ]
    assert answers == [200] * 5 + [429]


def test_only_a_link_that_was_sent_gives_a_proof() -> None:
    grant = make_coupon()
    url = f"/checkout/{grant.course.slug}/"
    for query in ({}, {"grant": grant.token + "x"}, {"grant": ""}, {"proof": "a" * 64}):
        assert 'name="proof"' not in Client().get(url, query).content.decode()

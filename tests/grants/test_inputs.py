"""Bad input at the application form and the coupon field.

Rows 37 to 45 of the table of bad input, and their neighbors.
"""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from courses.models import Course
from enrollments.models import Enrollment
from grants import applications, redemption, refusals
from grants.models import Grant, RefusalCount
from notifications.models import Email
from tests.factories import make_course
from tests.grants.make import HOLDER, STAFF, make_application, make_coupon
from tests.payments.test_webhooks import statements

pytestmark = pytest.mark.any_engine

MEBIBYTE = 1024 * 1024
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]+"|nonce-[\w+/=-]+|[0-9a-f-]{36}')


@pytest.fixture(autouse=True)
def _many_tries(settings) -> None:
    settings.RATE_LIMITS = {
        **settings.RATE_LIMITS,
        "coupon": "1000/1m",
        "coupon_email": "1000/1m",
        "checkout": "1000/1m",
    }


def form(**changes: Any) -> dict[str, Any]:
    words = {"situation": "Between two jobs.", "motivation": "To work with data."}
    return {
        "name": "Ada Applicant",
        "email": "ada@example.com",
        "consent": "on",
        **words,
        **changes,
    }


def apply(client: Client, course: Course, **changes: Any):
    return client.post(f"/grants/apply/{course.slug}/", form(**changes))


def check(client: Client, grant: Grant, **changes: Any):
    return client.post(
        f"/checkout/{grant.course.slug}/coupon/", {"email": HOLDER, "coupon": grant.code, **changes}
    )


def checkout_json(client: Client, grant: Grant, **changes: Any):
    body = {
        "courseId": grant.course.slug,
        "email": HOLDER,
        "acceptTerms": True,
        "couponCode": grant.code,
        **changes,
    }
    return client.post("/api/checkout", data=json.dumps(body), content_type="application/json")


# --- refusals of a code ---------------------------------------------------------------------------
def _expire(grant: Grant) -> None:
    Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def _sweep(grant: Grant) -> None:
    _expire(grant)
    redemption.expire_overdue()


def _use(grant: Grant) -> None:
    redemption.reserve(grant, enrollment_id=grant.pk, until=timezone.now() + timedelta(minutes=5))
    redemption.redeem(grant.pk, enrollment_id=grant.pk, email=HOLDER, actor="test")


def _reserve(grant: Grant) -> None:
    redemption.reserve(grant, enrollment_id=grant.pk, until=timezone.now() + timedelta(minutes=5))


def _revoke(grant: Grant) -> None:
    applications.revoke(grant, by=STAFF)


def _leave(grant: Grant) -> None:
    assert grant.status == "approved"


KINDS: dict[str, tuple[Callable[[Grant], None], dict[str, str]]] = {
    "unknown": (_leave, {"coupon": "MAAL-AAAA-BBBB-CCCC"}),
    "somebody else's": (_leave, {"email": "thief@example.com"}),
    "of another course": (_leave, {"course": "other"}),
    "expired": (_expire, {}),
    "expired and swept": (_sweep, {}),
    "used": (_use, {}),
    "reserved": (_reserve, {}),
    "revoked": (_revoke, {}),
}


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_every_refusal_is_one_answer_to_the_byte_and_one_amount_of_work(db: None) -> None:
    """Requirement R062.

    What a guesser sees does not depend on why a code is refused; staff see the reason.
    """
    course = make_course()
    make_course(slug="other")
    refusals.count(RefusalCount.UNKNOWN)
    seen = set()
    for ruin, changes in KINDS.values():
        slug = changes.get("course", course.slug)
        grant = make_coupon(course)
        ruin(grant)
        sent = {"email": HOLDER, "coupon": str(grant.code), **changes}
        with CaptureQueriesContext(connection) as captured:
            answer = Client().post(
                f"/checkout/{slug}/coupon/", sent, headers={"HX-Request": "true"}
            )
            api = checkout_json(
                Client(), grant, courseId=slug, email=sent["email"], couponCode=sent["coupon"]
            )
        body = (
            TOKEN.sub("", answer.content.decode())
            .replace(sent["coupon"], "CODE")
            .replace(sent["email"], "WHO")
        )
        known = {
            name: value
            for name, value in api.json().items()
            if name in ("success", "error", "code", "retryable", "details")
        }
        seen.add(
            (
                answer.status_code,
                body,
                api.status_code,
                TOKEN.sub("", json.dumps(known)),
                len(statements(captured)),
            )
        )
        Grant.objects.filter(pk=grant.pk).update(status="revoked")
    assert len({each[:4] for each in seen}) == 1
    assert len(seen) == 1
    assert {each[2] for each in seen} == {409}
    counts = refusals.since(timezone.now().date())
    assert counts == {
        **dict.fromkeys(RefusalCount.TRUE_REASONS, 2),
        "unknown": 3,
        "expired": 4,
        "lost_race": 0,
    }


def test_the_whole_page_and_the_part_of_it_refuse_with_409_and_a_sentence(db: None) -> None:
    """Row 40, and point 4 of the rules for a coupon: with htmx as without."""
    grant = make_coupon()
    _revoke(grant)
    whole = check(Client(), grant)
    part = Client().post(
        f"/checkout/{grant.course.slug}/coupon/",
        {"email": HOLDER, "coupon": grant.code},
        headers={"HX-Request": "true"},
    )
    assert (whole.status_code, part.status_code) == (409, 409)
    for answer in (whole, part):
        assert "Coupon already used or invalid." in answer.content.decode()


def test_a_part_of_the_page_has_the_status_of_its_refusal(db: None, settings) -> None:
    """Row 38: the sixth try is answered 429 with the time to wait, an empty form with 400."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "coupon": "5/15m"}
    cache.clear()
    grant = make_coupon()
    url, htmx = f"/checkout/{grant.course.slug}/coupon/", {"HX-Request": "true"}
    answers = [
        Client().post(url, {"email": HOLDER, "coupon": "MAAL-AAAA-BBBB-CCCC"}, headers=htmx)
        for _ in range(6)
    ]
    assert [answer.status_code for answer in answers] == [409] * 5 + [429]
    assert (answers[5]["X-RateLimit-Limit"], answers[5]["X-RateLimit-Remaining"]) == ("5", "0")
    assert 0 < int(answers[5]["Retry-After"]) <= 900
    empty = Client().post(url, {"email": "", "coupon": grant.code}, headers=htmx)
    assert empty.status_code == 400
    for answer, said in (
        (answers[0], "already used or invalid"),
        (answers[5], "Too many attempts"),
        (empty, "Enter your e-mail first"),
    ):
        assert said in answer.content.decode()
        assert "<html" not in answer.content.decode()


def test_a_code_in_an_address_is_left_out_and_not_even_looked_at(db: None) -> None:
    """Row 41: addresses are logged and passed on. S8: a page that is loaded again is shown."""
    grant = make_coupon()
    url = f"/checkout/{grant.course.slug}/coupon/"
    with CaptureQueriesContext(connection) as captured:
        answer = Client().get(url, {"email": HOLDER, "coupon": grant.code})
    assert (answer.status_code, answer["Location"]) == (302, f"/checkout/{grant.course.slug}/")
    assert statements(captured) == []
    assert (
        grant.code
        not in Client()
        .get(f"/checkout/{grant.course.slug}/", {"coupon": grant.code})
        .content.decode()
    )


def test_a_check_without_the_forms_token_is_refused(db: None) -> None:
    grant = make_coupon()
    assert check(Client(enforce_csrf_checks=True), grant).status_code == 403


@pytest.mark.every_engine
@pytest.mark.parametrize(
    "typed",
    ["A" * 65, "M" * 100_000, "MAAL\0AAAA", "", "   "],
    ids=["65", "100000", "NUL", "none", "spaces"],
)
def test_what_cannot_be_a_code_is_a_bad_request_and_counts_nothing(db: None, typed: str) -> None:
    grant = make_coupon()
    assert check(Client(), grant, coupon=typed).status_code == 400
    assert RefusalCount.objects.count() == 0


@pytest.mark.parametrize(
    "typed",
    [
        "ＭＡＡＬ－ＡＡＡＡ",
        "🎓" * 16,
        "MAAL‑\u202eAAAA",
        "' OR 1=1 --",
        '{"$ne": null}',
        "<script>",
        "%00",
    ],
    ids=ascii,
)
def test_any_other_text_is_one_more_unknown_code(db: None, typed: str) -> None:
    answer = check(Client(), make_coupon(), coupon=typed)
    assert answer.status_code == 409
    assert "<script>" not in answer.content.decode()
    assert refusals.since(timezone.now().date())["unknown"] == 1


@pytest.mark.parametrize(
    "value", [["MAAL-AAAA-BBBB-CCCC"], {"$gt": ""}, 123456789012, True, 1.5], ids=str
)
def test_a_code_that_is_not_text_is_refused_by_the_api(db: None, value: Any) -> None:
    answer = checkout_json(Client(), make_coupon(), couponCode=value)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_CHECKOUT")
    assert list(answer.json()["details"]["fields"]) == ["couponCode"]


def test_the_right_code_inside_a_list_buys_nothing(db: None) -> None:
    grant = make_coupon(percent=100)
    assert checkout_json(Client(), grant, couponCode=[grant.code]).status_code == 400
    assert Enrollment.objects.count() == 0
    assert checkout_json(Client(), grant).status_code == 201


def test_somebody_elses_link_fills_in_and_gives_nothing_to_another_address(db: None) -> None:
    """A grant's link shows its code to whoever has it; only the holder's address can use it."""
    grant = make_coupon(percent=100)
    assert (
        grant.code
        in Client().get(f"/checkout/{grant.course.slug}/", {"grant": grant.token}).content.decode()
    )
    form = {"email": "thief@example.com", "accept_terms": "on", "coupon": grant.code}
    assert (
        Client().post(f"/checkout/{grant.course.slug}/?grant={grant.token}", form).status_code
        == 409
    )
    assert Enrollment.objects.count() == 0


@pytest.mark.parametrize("token", ["x", "x" * 500, "..%2f..", "%F0%9F%8E%93"])
def test_a_link_that_nobody_was_sent_is_not_found(db: None, token: str) -> None:
    make_coupon()
    assert Client().get(f"/grants/{token}/").status_code == 404
    course = Course.objects.get()
    page = Client().get(f"/checkout/{course.slug}/?grant={token}")
    assert page.status_code == 200
    assert HOLDER not in page.content.decode()


def test_a_nul_in_a_link_is_a_bad_request(db: None) -> None:
    grant = make_coupon()
    assert Client().get("/grants/%00/").status_code == 400
    assert Client().get(f"/checkout/{grant.course.slug}/?grant=%00").status_code == 400


def test_the_page_of_an_undecided_application_shows_no_code(db: None) -> None:
    grant = make_application()
    page = Client().get(f"/grants/{grant.token}/")
    assert "MAAL-" not in page.content.decode()
    assert page.status_code == 200


# --- applying -------------------------------------------------------------------------------------
def test_anybody_applies_and_gets_an_email_with_a_link_to_follow(db: None) -> None:
    """Requirement R045."""
    course = make_course()
    answer = apply(Client(), course, email=" Ada@Example.COM ", name="  Ada   Applicant ")
    assert (answer.status_code, answer["Location"]) == (302, f"/grants/apply/{course.slug}/done/")
    grant = Grant.objects.get()
    assert (grant.status, grant.email, grant.name) == (
        "pending",
        "ada@example.com",
        "Ada Applicant",
    )
    mail = Email.objects.get(kind="grant_received")
    assert (mail.to, mail.context["grant_link"]) == (
        "ada@example.com",
        f"http://testserver/grants/{grant.token}/",
    )


def test_what_is_set_by_staff_cannot_be_sent_along(db: None) -> None:
    """Row 45."""
    extra = {
        "status": "approved",
        "percent": "100",
        "discount": "100",
        "code": "MAAL-AAAA-BBBB-CCCC",
        "couponCode": "X",
        "token": "mine",
    }
    apply(
        Client(),
        make_course(),
        **extra,
        decided_by="me",
        expires_at="2099-01-01",
        program="any",
        id="1",
        answer_due_on="2000-01-01",
    )
    grant = Grant.objects.get()
    assert (grant.status, grant.percent, grant.code, grant.decided_by, grant.expires_at) == (
        "pending",
        None,
        None,
        "",
        None,
    )
    assert grant.token != "mine"
    assert grant.answer_due_on > timezone.now().date()


HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)>{{ 7|add:"7" }}"\'&\u202egnp.exe =HYPERLINK("http://evil.example","x")'


def test_hostile_text_is_kept_as_text_and_shown_as_text(db: None) -> None:
    """Row 44: escaped in the office, on the learner's pages and in the message."""
    course = make_course()
    apply(Client(), course, name='Ada <b onclick="x">', situation=HOSTILE, motivation=HOSTILE)
    grant = Grant.objects.get()
    assert grant.situation == HOSTILE
    applications.reject(grant, by=STAFF, reason="other", note=HOSTILE)
    User.objects.create_superuser("boss@example.com", "a long enough passphrase")
    staff = Client()
    staff.force_login(User.objects.get())
    pages = {
        "office": staff.get(f"/admin/grants/grant/{grant.pk}/change/"),
        "decision": staff.get(f"/admin/grants/grant/{grant.pk}/approve/"),
        "list": staff.get("/admin/grants/grant/"),
        "status": Client().get(f"/grants/{grant.token}/"),
    }
    for name, page in pages.items():
        text = page.content.decode()
        assert page.status_code == 200, name
        for raw in ("<script>alert(1)", "<img src=x", '<b onclick="x">'):
            assert raw not in text, name
    assert "&lt;script&gt;alert(1)" in pages["decision"].content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"situation": "a" * 4001},
        {"motivation": "a" * 4001},
        {"situation": ""},
        {"motivation": "   "},
        {"situation": "a\0b"},
        {"name": ""},
        {"name": "a" * 141},
        {"name": "Ada\u0007gnp"},
        {"name": "Ada\0"},
        {"consent": ""},
    ],
    ids=lambda wrong: f"{next(iter(wrong))}={ascii(next(iter(wrong.values())))[:12]}",
)
def test_an_application_that_cannot_be_kept_is_shown_again_with_the_reason(
    db: None, wrong: dict[str, str]
) -> None:
    answer = apply(Client(), make_course(), **wrong)
    assert answer.status_code == 400
    assert list(answer.context["form"].errors) == list(wrong)
    assert Grant.objects.count() == Email.objects.count() == 0


@pytest.mark.parametrize(
    "email",
    [
        "",
        "nobody",
        "a@b",
        "a b@example.com",
        "a@example.com\nBcc: x@example.com",
        "a@example.com,b@example.com",
        "a@" + "b" * 200 + ".com",
        "@",
    ],
    ids=ascii,
)
def test_a_malformed_address_is_refused(db: None, email: str) -> None:
    answer = apply(Client(), make_course(), email=email)
    assert (answer.status_code, Grant.objects.count()) == (400, 0)
    assert list(answer.context["form"].errors) == ["email"]


def test_the_longest_essay_and_every_script_of_the_world_are_kept(db: None) -> None:
    text = "שלום مرحبا 你好 🎓 e\u0301"
    assert apply(Client(), make_course(), situation="a" * 4000, motivation=text).status_code == 302
    assert (len(Grant.objects.get().situation), Grant.objects.get().motivation) == (4000, text)


def test_a_line_break_counts_as_one_character(db: None) -> None:
    assert apply(Client(), make_course(), situation="a\r\n" * 2000).status_code == 302
    assert Grant.objects.get().situation.count("\r") == 0


def test_bytes_that_are_no_text_do_no_harm(db: None) -> None:
    """A lone surrogate cannot be sent as UTF-8: its bytes become a replacement character."""
    course = make_course()
    fields = {**form(), "situation": "SURROGATE"}
    body = "&".join(
        f"{name}={value}".replace(" ", "+").replace("@", "%40") for name, value in fields.items()
    )
    body = body.replace("SURROGATE", "a%ED%A0%80b")
    answer = Client().post(
        f"/grants/apply/{course.slug}/", data=body, content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 302
    assert "\ufffd" in Grant.objects.get().situation


def test_a_mebibyte_is_refused_before_it_is_read(db: None) -> None:
    answer = apply(Client(), make_course(), situation="a" * MEBIBYTE)
    assert answer.status_code in (400, 413)
    assert Grant.objects.count() == 0


def test_an_application_without_the_forms_token_is_refused(db: None) -> None:
    assert apply(Client(enforce_csrf_checks=True), make_course()).status_code == 403
    assert Grant.objects.count() == 0


def test_the_sixth_application_within_an_hour_is_refused_with_its_headers(db: None) -> None:
    """Requirement R170: 5 in an hour for a client address; looking at the form does not count."""
    cache.clear()
    courses = [make_course() for _ in range(6)]
    for course in courses:
        Client().get(f"/grants/apply/{course.slug}/")
    answers = [apply(Client(), course) for course in courses]
    assert [answer.status_code for answer in answers] == [302] * 5 + [429]
    assert answers[4]["X-RateLimit-Remaining"] == "0"
    assert answers[5]["X-RateLimit-Limit"] == "5"
    assert 0 < int(answers[5]["Retry-After"]) <= 3600
    assert Grant.objects.count() == 5


@pytest.mark.parametrize(
    "fields",
    [None, {"status": "draft"}, {"status": "archived"}, {"price": 0}],
    ids=["unknown", "draft", "archived", "free"],
)
def test_only_a_course_on_sale_with_a_price_can_be_applied_for(
    db: None, fields: dict | None
) -> None:
    slug = make_course(**fields).slug if fields else "nothing-here"
    client = Client()
    assert client.get(f"/grants/apply/{slug}/").status_code == 404
    assert client.post(f"/grants/apply/{slug}/", form()).status_code == 404
    assert client.get(f"/grants/apply/{slug}/done/").status_code == 404
    assert Grant.objects.count() == 0


@pytest.mark.every_engine
def test_a_known_and_an_unknown_address_get_the_same_answer(db: None) -> None:
    course = make_course()
    make_application(course, email="ada@example.com")
    User.objects.create_user("ada@example.com", "a long enough passphrase")
    answers = [
        apply(Client(), course, email=email) for email in ("ada@example.com", "new@example.com")
    ]
    assert (
        len({(answer.status_code, answer["Location"], answer.content) for answer in answers}) == 1
    )
    pages = {TOKEN.sub("", Client().get(answer["Location"]).content.decode()) for answer in answers}
    assert len(pages) == 1
    assert Grant.objects.filter(email="ada@example.com").count() == 1


@pytest.mark.every_engine
def test_one_address_may_apply_for_two_courses_and_again_after_an_answer(db: None) -> None:
    course = make_course()
    apply(Client(), course)
    apply(Client(), make_course())
    applications.reject(Grant.objects.get(course=course), by=STAFF, reason="budget")
    apply(Client(), course)
    assert sorted(Grant.objects.values_list("status", flat=True)) == [
        "pending",
        "pending",
        "rejected",
    ]

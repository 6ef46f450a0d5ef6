"""One shape of refusals, limits in headers, courses, enrollments and grants (R149, R159, R164)."""

import json
import time
from datetime import datetime, timedelta
from urllib.parse import urlencode

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone

from enrollments.models import Enrollment
from grants.models import Grant, RefusalCount
from notifications.models import Email
from tests.affiliates.make import make_user
from tests.api.asking import (
    APPLICATION,
    make_key,
    make_worker,
    post,
    refused,
    signed_in,
    with_key,
)
from tests.factories import make_course, make_pending
from tests.grants.make import HOLDER, make_application, make_coupon

pytestmark = pytest.mark.any_engine
VALIDATE, GRANTS, ENROLLMENTS = "/api/grants/validate", "/api/grants", "/api/enrollments"


def written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- the shape ------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/nowhere", "/api/grants/", "/api/admin/x", "/API/courses"])
def test_an_unknown_address_is_answered_in_our_shape(client: Client, path: str) -> None:
    assert refused(client.get(path)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("delete", GRANTS, {"GET", "HEAD", "POST"}),
        ("put", "/api/checkout", {"POST"}),
        ("get", "/api/auth/signin", {"POST"}),
        ("post", "/api/courses", {"GET", "HEAD"}),
        ("post", "/api/openapi.json", {"GET", "HEAD"}),
        ("delete", "/api/health/frappe", {"GET", "HEAD"}),
        ("put", "/api/admin/cache-stats", {"GET", "HEAD"}),
        ("options", "/api/affiliate", {"GET", "HEAD"}),
        ("trace", "/api/grants/validate", {"POST"}),
        ("trace", "/api/webhook", {"POST"}),
        ("trace", "/api/cron/expire-grants", {"GET", "HEAD", "POST"}),
    ],
)
def test_another_method_is_refused_with_those_that_are_taken(
    method: str, path: str, allowed: set
) -> None:
    answer = getattr(Client(enforce_csrf_checks=True), method)(path)
    assert refused(answer) == (405, "METHOD_NOT_ALLOWED")
    assert set(answer["Allow"].split(", ")) == allowed


BODIES = {
    "no JSON": ("{", "application/json", (400, "BAD_REQUEST")),
    "a list": ("[]", "application/json", (400, "BAD_REQUEST")),
    "too deep": ("[" * 20_000, "application/json", (400, "BAD_REQUEST")),
    "no text": (b"\xff\xfe", "application/json", (400, "BAD_REQUEST")),
    "a name twice": ('{"name": "a", "name": "b"}', "application/json", (400, "BAD_REQUEST")),
    "NaN": ('{"name": NaN}', "application/json", (400, "BAD_REQUEST")),
    "half a pair": ('{"name": "\\ud800"}', "application/json", (400, "BAD_REQUEST")),
    "NUL": ('{"courseId": "a\\u0000"}', "application/json", (400, "BAD_REQUEST")),
    "too large": (b" " * 70_000, "application/json", (413, "PAYLOAD_TOO_LARGE")),
    "far too large": (b" " * 300_000, "application/json", (413, "PAYLOAD_TOO_LARGE")),
    "a form": ("courseId=x", "application/x-www-form-urlencoded", (415, "UNSUPPORTED_MEDIA_TYPE")),
    "plain text": ("{}", "text/plain", (415, "UNSUPPORTED_MEDIA_TYPE")),
}


@pytest.mark.parametrize("path", ["/api/checkout", GRANTS, VALIDATE, "/api/auth/signin"])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_body_that_cannot_be_read_is_refused_in_our_shape(
    db: None, client: Client, path: str, body: str
) -> None:
    data, kind, expected = BODIES[body]
    answer = client.post(path, data=data, content_type=kind)
    assert refused(answer) == expected
    assert answer.has_header("X-RateLimit-Remaining")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (("Content-Encoding", "gzip"), (415, "UNSUPPORTED_MEDIA_TYPE")),
        (("Transfer-Encoding", "chunked"), (411, "LENGTH_REQUIRED")),
    ],
)
def test_a_body_that_is_packed_or_in_chunks_is_refused_as_such(
    db: None, client: Client, header: tuple[str, str], expected: tuple[int, str]
) -> None:
    """Django reads nothing of the second: it was answered as if a field were missing."""
    assert refused(post(client, GRANTS, APPLICATION, **dict([header]))) == expected


def test_what_does_not_fit_the_document_names_each_field(db: None, client: Client) -> None:
    answer = post(client, GRANTS, {**APPLICATION, "name": 7, "consent": False, "email": None})
    assert refused(answer) == (422, "INVALID_INPUT")
    assert set(answer.json()["details"]["fields"]) == {"courseId", "name", "consent", "email"}
    answer = post(client, GRANTS, {**APPLICATION, "courseId": "x", "email": "nobody"})
    assert refused(answer) == (422, "INVALID_INPUT")
    assert answer.json()["details"]["fields"] == {"email": ["Enter a valid e-mail address."]}
    one = post(client, GRANTS, {**APPLICATION, "courseId": "x", "consent": 1})
    assert set(one.json()["details"]["fields"]) == {"consent"}
    for limit in ("0", "-1", "51", "9" * 400, "1.5", "", "true"):
        answer = client.get("/api/courses", {"limit": limit})
        assert refused(answer) == (422, "INVALID_INPUT"), limit


@pytest.mark.parametrize("path", ["/api/checkout", GRANTS, VALIDATE, "/api/affiliate/register"])
def test_a_form_is_refused_before_our_token_is_sought_in_it(db: None, path: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("ada@example.com"))
    token = strict.get("/api/auth/csrf").json()["csrfToken"]
    headers = {"X-CSRFToken": token, "Idempotency-Key": "a"}
    large = urlencode({"csrfmiddlewaretoken": "x" * 300_000})
    for answer in (
        strict.post(path, {"courseId": "x"}, headers=headers),
        strict.post(path, large, content_type="application/x-www-form-urlencoded"),
    ):
        assert refused(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
        assert answer.has_header("X-RateLimit-Remaining")


@pytest.mark.parametrize("path", ["/api/checkout", GRANTS, VALIDATE, "/api/auth/signin"])
def test_a_post_without_our_token_is_refused_before_its_body_is_read(db: None, path: str) -> None:
    """Requirement R019."""
    strict = Client(enforce_csrf_checks=True)
    assert refused(post(strict, path, "{")) == (403, "FORBIDDEN")
    token = strict.get("/api/auth/csrf").json()["csrfToken"]
    assert refused(post(strict, path, "{", **{"X-CSRFToken": token})) == (400, "BAD_REQUEST")
    foreign = {"X-CSRFToken": token, "Origin": "https://evil.example"}
    assert refused(post(strict, path, "{", **foreign)) == (403, "FORBIDDEN")


def test_every_answer_names_its_limit_and_the_refusal_when_to_come_back(
    db: None, client: Client, settings
) -> None:
    """Requirement R166."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "api": "2/1h"}
    first, second, third = (client.get(path) for path in ["/api/courses", GRANTS, ENROLLMENTS])
    assert [answer.status_code for answer in (first, second, third)] == [200, 401, 429]
    remaining = [answer["X-RateLimit-Remaining"] for answer in (first, second, third)]
    assert (remaining, first["X-RateLimit-Limit"]) == (["1", "0", "0"], "2")
    assert refused(third) == (429, "RATE_LIMITED")
    left = int(third["X-RateLimit-Reset"]) - time.time()
    assert int(third["Retry-After"]) == pytest.approx(left, abs=2)


def test_a_payout_field_that_is_no_text_is_refused_also_where_it_is_not_needed(db: None) -> None:
    client = signed_in(make_user("ada@example.com"))
    body = {"name": "A", "taxCountry": "DE", "payoutMethod": "later", "acceptTerms": True}
    for field in ("iban", "payeeName", "paypalEmail"):
        answer = post(client, "/api/affiliate/register", {**body, field: ["x"]})
        assert refused(answer) == (400, "INVALID_JOINING")
        assert set(answer.json()["details"]["fields"]) == {field}


# --- courses --------------------------------------------------------------------------------------
def test_courses_come_in_pages_with_their_prices(db: None, client: Client) -> None:
    for number in range(3):
        make_course(slug=f"c{number}", price=49900 + number, category="data")
    make_course(slug="draft", status="draft")
    first = client.get("/api/courses?limit=2").json()
    assert ([c["courseId"] for c in first["courses"]], first["total"]) == (["c2", "c1"], 3)
    assert first["courses"][0]["price"] == {"amount": 49902, "display": "$499.02"}
    assert first["courses"][0]["url"] == "http://testserver/courses/c2/"
    last = client.get("/api/courses", {"limit": 2, "cursor": first["nextCursor"]}).json()
    assert [c["courseId"] for c in last["courses"]] == ["c0"]
    assert (last["hasMore"], last["nextCursor"]) == (False, None)
    cursor = first["nextCursor"]
    for other in ("x", cursor[:-1], cursor.swapcase(), f"{cursor} ", "x" * 3000):
        answer = client.get("/api/courses", {"cursor": other})
        assert refused(answer) == (400, "BAD_CURSOR"), other
    of_another_list = signed_in(make_user("ada@example.com")).get(GRANTS, {"cursor": cursor})
    assert refused(of_another_list) == (400, "BAD_CURSOR")
    assert client.get("/api/courses?category=business").json()["courses"] == []
    assert client.get("/api/courses?price=free").json()["courses"] == []
    assert client.get("/api/courses?price=300-600").json()["total"] == 3
    assert refused(client.get("/api/courses?category=magic")) == (422, "INVALID_INPUT")
    assert client.head("/api/courses").content == b""


# --- enrollments ----------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_a_learner_lists_what_was_bought_under_proved_addresses(db: None) -> None:
    """Requirement R159."""
    user = make_user("ada@example.com")
    work = EmailAddress(user=user, email="ada@work.example", verified=False, primary=False)
    work.save()
    mine = [make_pending(email="ada@example.com")[0] for _ in range(3)]
    for other in ("bob@example.com", "ada@work.example"):
        make_pending(email=other)
    newest = mine[2]
    Enrollment.objects.filter(pk=newest.pk).update(progress_percent=40)
    newest.refresh_from_db()
    client = signed_in(user)
    first = client.get(f"{ENROLLMENTS}?limit=2").json()
    last = client.get(ENROLLMENTS, {"limit": 2, "cursor": first["nextCursor"]}).json()
    found = [*first["enrollments"], *last["enrollments"]]
    assert [each["enrollmentId"] for each in found] == [str(each.pk) for each in reversed(mine)]
    assert (first["hasMore"], last["hasMore"]) == (True, False)
    assert found[0] == {
        "enrollmentId": str(newest.pk),
        "courseId": newest.course_slug,
        "courseTitle": newest.course_title,
        "email": "ada@example.com",
        "kind": "paid",
        "status": "pending",
        "lmsPlatform": "frappe",
        "lmsStatus": "pending",
        "progressPercent": 40,
        "listPrice": {"amount": 49900, "display": "$499.00"},
        "amount": {"amount": 49900, "display": "$499.00"},
        "currency": "usd",
        "createdAt": written(newest.created_at),
        "paidAt": None,
        "statusUrl": newest.status_link,
        "courseUrl": None,
    }
    EmailAddress.objects.filter(pk=work.pk).update(verified=True)
    assert client.get(ENROLLMENTS).json()["enrollments"][0]["email"] == "ada@work.example"


def test_staff_who_may_see_enrollments_list_all_of_them_without_their_secret_links(
    db: None,
) -> None:
    enrollment, _ = make_pending(email="bob@example.com")
    seeing = make_worker("enrollments.view_enrollment")
    found = signed_in(seeing).get(ENROLLMENTS).json()["enrollments"]
    assert [each["email"] for each in found] == ["bob@example.com"]
    assert enrollment.token not in json.dumps(found)
    blind = make_worker(email="other@example.com")
    assert signed_in(blind).get(ENROLLMENTS).json()["enrollments"] == []
    assert refused(Client().get(ENROLLMENTS)) == (401, "SIGN_IN_NEEDED")


def test_staff_see_others_enrollments_only_with_the_second_factor_or_a_key(
    db: None, settings
) -> None:
    settings.OFFICE_SECOND_FACTOR = True
    make_pending(email="bob@example.com")
    staff = make_worker("enrollments.view_enrollment")
    assert signed_in(staff).get(ENROLLMENTS).json()["enrollments"] == []
    program = with_key(make_key(staff, "enrollments:read")[1])
    assert len(program.get(ENROLLMENTS).json()["enrollments"]) == 1
    sync = signed_in(staff).get("/api/admin/retry-frappe-sync")
    assert refused(sync) == (401, "SECOND_FACTOR_NEEDED")


# --- grants ---------------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_an_application_is_filed_and_confirmed_by_email(db: None, client: Client) -> None:
    """Requirement R149."""
    course = make_course()
    body = {**APPLICATION, "courseId": course.slug}
    answer = post(client, GRANTS, body)
    assert (answer.status_code, answer.json()) == (
        202,
        {"status": "received", "answerWithinWorkingDays": 10},
    )
    again = post(client, GRANTS, body)
    assert (again.status_code, again.json()) == (202, answer.json())
    grant = Grant.objects.get()
    assert (grant.email, grant.course_id, grant.status) == ("ada@example.com", course.pk, "pending")
    assert Email.objects.filter(kind="grant_received", to="ada@example.com").exists()
    missing = post(client, GRANTS, {**body, "courseId": "nowhere"})
    assert refused(missing) == (404, "COURSE_NOT_FOUND")


def test_applications_are_limited_like_those_of_the_page(db: None, client, settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "grant_application": "1/1h"}
    course = make_course()
    assert post(client, GRANTS, {**APPLICATION, "courseId": course.slug}).status_code == 202
    over = post(client, GRANTS, {**APPLICATION, "courseId": course.slug})
    assert refused(over) == (429, "RATE_LIMITED")
    assert client.get(f"/grants/apply/{course.slug}/").status_code == 200
    page = client.post(f"/grants/apply/{course.slug}/", {**APPLICATION, "consent": "on"})
    assert page.status_code == 429


def test_an_applicant_lists_their_own_applications_with_their_state(db: None) -> None:
    """Requirement R149."""
    coupon = make_coupon(percent=40)
    make_application(email="other@example.com")
    found = signed_in(make_user(HOLDER)).get(GRANTS).json()
    [grant] = found["grants"]
    coupon.refresh_from_db()
    assert coupon.expires_at is not None
    assert grant == {
        "grantId": str(coupon.pk),
        "courseId": coupon.course.slug,
        "courseTitle": coupon.course.title,
        "status": "approved",
        "discountPercent": 40,
        "couponCode": coupon.code,
        "expiresAt": written(coupon.expires_at),
        "answerDueOn": coupon.answer_due_on.isoformat(),
        "createdAt": written(coupon.created_at),
        "url": f"http://testserver/grants/{coupon.token}/",
    }
    assert found["hasMore"] is False
    assert signed_in(make_user("nobody@example.com")).get(GRANTS).json()["grants"] == []
    assert refused(Client().get(GRANTS)) == (401, "SIGN_IN_NEEDED")


def ask(client: Client, grant: Grant, **changes: str):
    body = {"courseId": grant.course.slug, "email": HOLDER, "couponCode": grant.code, **changes}
    return post(client, VALIDATE, body)


def test_a_coupon_is_priced_for_its_holder_and_nothing_is_held(db: None, client: Client) -> None:
    """Requirement R158, with the worked figure of the decisions: 199.99 at 33 %."""
    grant = make_coupon(make_course(price=19999), percent=33)
    answer = ask(client, grant, email=" Holder@Example.com", couponCode=(grant.code or "").lower())
    assert answer.status_code == 200
    assert answer.json() == {
        "valid": True,
        "courseId": grant.course.slug,
        "discountPercent": 33,
        "listPrice": {"amount": 19999, "display": "$199.99"},
        "discount": {"amount": 6600, "display": "$66.00"},
        "amount": {"amount": 13399, "display": "$133.99"},
        "currency": "usd",
    }
    grant.refresh_from_db()
    assert grant.status == "approved"


def test_a_code_that_is_not_the_askers_is_refused_in_one_way_and_counted(
    db: None, client: Client
) -> None:
    grant = make_coupon()
    for changes in ({"couponCode": "MAAL-NONE-0000"}, {"email": "bob@example.com"}):
        assert refused(ask(client, grant, **changes)) == (409, "COUPON_UNAVAILABLE")
    Grant.objects.filter(pk=grant.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(ask(client, grant)) == (409, "COUPON_UNAVAILABLE")
    assert sum(RefusalCount.objects.values_list("count", flat=True)) == 3


def test_codes_are_tried_as_often_as_on_the_page_and_no_more(
    db: None, client: Client, settings
) -> None:
    """Requirement R158."""
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "coupon": "2/15m"}
    grant = make_coupon()
    answers = [ask(client, grant, couponCode="MAAL-NONE-0000") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [409, 409, 429]
    assert answers[1]["X-RateLimit-Remaining"] == "0"
    page = f"/checkout/{grant.course.slug}/coupon/"
    assert client.post(page, {"email": HOLDER, "coupon": grant.code}).status_code == 429

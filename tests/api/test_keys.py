"""API keys: made and revoked in the office, and never more than their maker (issue 12, point 2)."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey, User
from enrollments.models import Enrollment
from tests.affiliates.make import make_user
from tests.api.asking import APPLICATION, make_key, make_worker, post, refused, signed_in, with_key
from tests.factories import make_course, make_pending

pytestmark = pytest.mark.any_engine
ENROLLMENTS, ADD = "/api/enrollments", "/admin/accounts/apikey/add/"
SEE = "enrollments.view_enrollment"
FORM = {"name": "The partner's shop", "scopes": ["enrollments:read"], "per_minute": "5"}


def office(*permissions: str) -> Client:
    return signed_in(make_worker("accounts.view_apikey", *permissions))


# --- in the office --------------------------------------------------------------------------------
@pytest.mark.every_engine
def test_a_key_is_shown_once_and_kept_as_a_hash(db: None) -> None:
    staff = office("accounts.add_apikey", SEE)
    page = staff.post(ADD, {**FORM, "expires_on": "2030-05-04"}).content.decode()
    [text] = set(re.findall(r"mk_[0-9a-f]{12}_[\w-]{43}", page))
    key = ApiKey.objects.get()
    assert (key.user.email, key.scopes, key.per_minute) == (
        "staff@example.com",
        "enrollments:read",
        5,
    )
    assert key.expires_at is not None
    assert key.expires_at.isoformat().startswith("2030-05-04T23:59:59")
    assert text.split("_", 2)[2] not in str(list(ApiKey.objects.values()))
    assert LogEntry.objects.filter(object_id=str(key.pk)).count() == 1
    for path in ("/admin/accounts/apikey/", f"/admin/accounts/apikey/{key.pk}/change/"):
        again = staff.get(path)
        assert (again.status_code, text in again.content.decode()) == (200, False)
    assert with_key(text).get(ENROLLMENTS).status_code == 200


def test_a_key_without_scope_or_past_its_last_day_is_not_made(db: None) -> None:
    staff = office("accounts.add_apikey")
    assert staff.get(ADD).status_code == 200
    for changes in ({"scopes": []}, {"expires_on": "2020-01-01"}, {"per_minute": "0"}):
        assert staff.post(ADD, {**FORM, **changes}).status_code == 200
    assert not ApiKey.objects.exists()


def test_only_who_may_makes_and_revokes_keys(db: None) -> None:
    staff = office()
    key, text = make_key(User.objects.get(), "enrollments:read")
    revoke = f"/admin/accounts/apikey/{key.pk}/revoke/"
    assert staff.post(ADD, FORM).status_code == 403
    assert staff.post(revoke, {"decide": "yes"}).status_code == 403
    assert with_key(text).get(ENROLLMENTS).status_code == 200


@pytest.mark.every_engine
def test_a_key_that_is_revoked_is_refused_from_the_next_request_on(db: None) -> None:
    staff = office("accounts.revoke_apikey")
    key, text = make_key(User.objects.get(), "enrollments:read")
    assert with_key(text).get(ENROLLMENTS).status_code == 200
    staff.post(f"/admin/accounts/apikey/{key.pk}/revoke/", {"reason": "Lost"})
    key.refresh_from_db()
    assert (key.revoked_by, key.revoked_at is not None) == ("staff@example.com", True)
    assert refused(with_key(text).get(ENROLLMENTS)) == (401, "API_KEY_INVALID")
    assert not keys.revoke(key, by="late@example.com")


# --- what a key may do ----------------------------------------------------------------------------
@pytest.mark.every_engine
def test_a_key_does_what_its_scopes_and_its_makers_permissions_say_at_that_moment(
    db: None,
) -> None:
    make_pending(email="bob@example.com")
    maker = make_worker(SEE)
    _, text = make_key(maker, "enrollments:read")
    _, other = make_key(maker, "grants:read")
    program = with_key(text)
    assert len(program.get(ENROLLMENTS).json()["enrollments"]) == 1
    missing = with_key(other).get(ENROLLMENTS)
    assert refused(missing) == (403, "API_KEY_SCOPE_MISSING")
    assert missing.json()["details"] == {"scope": "enrollments:read"}
    maker.user_permissions.clear()
    assert program.get(ENROLLMENTS).json()["enrollments"] == []
    User.objects.filter(pk=maker.pk).update(is_active=False)
    assert refused(program.get(ENROLLMENTS)) == (401, "API_KEY_INVALID")


def test_a_key_is_worth_nothing_once_it_is_over_or_changed(db: None) -> None:
    key, text = make_key(make_worker(), "enrollments:read")
    _, prefix, secret = text.split("_", 2)
    other = "A" if secret[0] != "A" else "B"
    for scheme in ("bearer ", "BEARER  "):
        program = Client(headers={"Authorization": f"{scheme}{text}"})
        assert program.get(ENROLLMENTS).status_code == 200, scheme
    for header in (text, f"Basic {text}", f"Bearer Bearer {text}", "Bearer", "Bearer "):
        program = Client(headers={"Authorization": header})
        assert refused(program.get(ENROLLMENTS)) == (401, "API_KEY_INVALID"), header
    wrong = [f"mk_{prefix}_{other}{secret[1:]}", f"mk_{prefix}_", f"mk__{secret}", prefix, "", "ü"]
    for each in [*wrong, f"{text}x", "x" * 10_000]:
        assert refused(with_key(each).get(ENROLLMENTS))[0] == 401, each
        assert refused(with_key(each).get("/api/courses"))[0] == 401, each
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert refused(with_key(text).get(ENROLLMENTS)) == (401, "API_KEY_INVALID")


def test_a_key_needs_no_token_and_its_cookies_are_not_read(db: None) -> None:
    boss = User.objects.create_superuser("boss@example.com", "a long password here")
    _, text = make_key(make_user("ada@example.com"), "enrollments:read", "grants:write")
    make_pending(email="bob@example.com")
    program = with_key(text)
    program.force_login(boss)
    assert program.get(ENROLLMENTS).json()["enrollments"] == []
    body = {**APPLICATION, "courseId": make_course().slug}
    assert post(program, "/api/grants", body).status_code == 202
    bare = Client(enforce_csrf_checks=True)
    bare.force_login(boss)
    assert refused(post(bare, "/api/grants", body)) == (403, "FORBIDDEN")


def test_when_a_key_was_last_used_is_kept_to_the_minute(db: None) -> None:
    key, text = make_key(make_worker(), "enrollments:read")
    with_key(text).get(ENROLLMENTS)
    first = ApiKey.objects.get().last_used_at
    with_key(text).get(ENROLLMENTS)
    assert (first is not None, ApiKey.objects.get().last_used_at) == (True, first)
    earlier = timezone.now() - timedelta(minutes=2)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=earlier)
    with_key(text).get(ENROLLMENTS)
    used = ApiKey.objects.get().last_used_at
    assert used is not None
    assert used > earlier


def test_a_key_has_a_limit_of_its_own_in_place_of_its_networks(db: None, settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "api": "1/60s", "coupon": "1/15m"}
    _, text = make_key(make_worker(), "enrollments:read", "coupons:check", per_minute=3)
    program = with_key(text)
    answers = [program.get(ENROLLMENTS) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0]["X-RateLimit-Limit"] == "3"
    assert refused(answers[3]) == (429, "RATE_LIMITED")
    # What somebody could guess stays limited by the network.
    body = {"courseId": "none", "email": "ada@example.com", "couponCode": "MAAL-NONE-0000"}
    codes = [post(program, "/api/grants/validate", body).status_code for _ in range(2)]
    assert codes == [404, 429]
    assert Client().get("/api/courses").status_code == 200


def test_a_stranger_who_tries_keys_is_limited(db: None, settings) -> None:
    settings.RATE_LIMITS = {**settings.RATE_LIMITS, "api": "2/60s"}
    answers = [with_key(f"mk_{'0' * 12}_{n}").get(ENROLLMENTS) for n in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]


# --- pages elsewhere ------------------------------------------------------------------------------
def test_pages_of_listed_origins_may_call_with_a_key_and_never_with_a_session(
    db: None, settings
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://partner.example"]
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    listed = Client().options(
        "/api/checkout", headers={"Origin": "https://partner.example", **asks}
    )
    assert listed["Access-Control-Allow-Origin"] == "https://partner.example"
    assert {"authorization", "idempotency-key"} <= set(
        listed["Access-Control-Allow-Headers"].split(", ")
    )
    assert not listed.has_header("Access-Control-Allow-Credentials")
    for origin in ("https://evil.example", "https://partner.example.evil.example", "null"):
        answer = Client().get("/api/courses", headers={"Origin": origin})
        assert not answer.has_header("Access-Control-Allow-Origin")
    page = Client().get("/", headers={"Origin": "https://partner.example"})
    assert not page.has_header("Access-Control-Allow-Origin")
    assert Enrollment.objects.count() == 0

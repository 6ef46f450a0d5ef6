"""Who may ask what: every operation of the document, asked by everybody (issue 12).

The table says the status and code that each of them gets for a request that is well formed. It is
written out by hand, and held against the document: an operation without its row is a failure.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts import roles
from accounts.models import User
from api.document import document
from tests.affiliates.make import make_affiliate, make_user
from tests.api.asking import APPLICATION, codes_of, make_key, make_worker, post, signed_in, with_key
from tests.factories import make_course, make_pending
from tests.grants.make import HOLDER, make_coupon

pytestmark = pytest.mark.any_engine
NOBODY, LEARNER, OTHER, AFFILIATE = "nobody", "learner", "other learner", "affiliate"
BLIND, SUPPORT, BOSS = "staff without permission", "support", "superuser"
KEY, KEY_WITHOUT, KEY_OF_LEARNER, KEY_GONE = "key", "key without scope", "learner's key", "revoked"
# The roles that ship, by what they may do here; none may do more than the office lets it.
SEES = (roles.SUPPORT, roles.GRANTS, roles.FINANCE, roles.OPERATOR, roles.AUDITOR)
REPAIRS = (roles.SUPPORT, roles.OPERATOR)
ROLE = {name: f"role {name}" for name in roles.ROLES}
WHO = (NOBODY, LEARNER, OTHER, AFFILIATE, BLIND, SUPPORT, BOSS, *ROLE.values())
KEYS = (KEY, KEY_WITHOUT, KEY_OF_LEARNER, KEY_GONE)
SYNC = "/api/admin/retry-frappe-sync"
SIGN_IN, FORBIDDEN = "401 SIGN_IN_NEEDED", "403 FORBIDDEN"
NO_SCOPE, GONE = "403 API_KEY_SCOPE_MISSING", "401 API_KEY_INVALID"
NO_AFFILIATE, NO_CODE = "404 NOT_AN_AFFILIATE", "409 COUPON_UNAVAILABLE"


def everybody(status: str) -> dict[str, str]:
    return {**dict.fromkeys(WHO, status), KEY: status, KEY_WITHOUT: status, KEY_OF_LEARNER: status}


def scoped(status: str, **others: str) -> dict[str, str]:
    return {**everybody(status), KEY_WITHOUT: NO_SCOPE, **others}


def of_people(status: str, **others: str) -> dict[str, str]:
    return scoped(status, **{NOBODY: SIGN_IN, **others})


def of_staff(status: str, allowed: tuple[str, ...]) -> dict[str, str]:
    refused = dict.fromkeys((LEARNER, OTHER, AFFILIATE, BLIND, KEY_OF_LEARNER), FORBIDDEN)
    others = {ROLE[name]: FORBIDDEN for name in roles.ROLES if name not in allowed}
    return {**scoped(status), NOBODY: SIGN_IN, **refused, **others}


TABLE: dict[tuple[str, str], dict[str, str]] = {
    ("get", "/api/courses"): everybody("200"),
    ("get", "/api/auth/csrf"): everybody("200"),
    ("post", "/api/auth/signin"): everybody("401 SIGN_IN_REFUSED"),
    ("post", "/api/checkout"): scoped("404 COURSE_NOT_FOUND"),
    ("get", "/api/grants"): of_people("200"),
    ("post", "/api/grants"): scoped("202"),
    ("post", "/api/grants/validate"): scoped("200"),
    ("get", "/api/affiliate"): of_people(NO_AFFILIATE, **{AFFILIATE: "200"}),
    ("post", "/api/affiliate/register"): of_people(
        "400 INVALID_JOINING", **{AFFILIATE: "409 ALREADY_AFFILIATE"}
    ),
    ("get", "/api/enrollments"): of_people("200"),
    ("get", SYNC): of_staff("200", SEES),
    ("post", SYNC): of_staff("409 ENROLLMENT_IS_OVER", REPAIRS),
}
SCOPES = ["checkout:write", "coupons:check", "grants:read", "grants:write", "affiliate:read",
          "affiliate:write", "enrollments:read", "sync:read", "sync:write"]  # fmt: skip


def of_role(name: str) -> User:
    user = make_user(f"{name}@staff.example", is_staff=True)
    user.groups.add(Group.objects.get(name=name))
    return user


@pytest.fixture
def people(db: None) -> dict[str, Callable[[], Client]]:
    """Return how each of them comes: a fresh client each time, with nothing left of before."""
    roles.install()
    learner = make_user("learner@example.com")
    support = make_worker(
        "enrollments.view_enrollment", "enrollments.repair_enrollment", email="support@example.com"
    )
    users = {
        LEARNER: learner,
        OTHER: make_user("other@example.com"),
        AFFILIATE: make_affiliate("affiliate@example.com").user,
        BLIND: make_worker(email="blind@example.com"),
        SUPPORT: support,
        BOSS: User.objects.create_superuser("boss@example.com", "a long password here"),
        **{ROLE[name]: of_role(name) for name in roles.ROLES},
    }
    keys = {
        KEY: make_key(support, *SCOPES)[1],
        KEY_WITHOUT: make_key(support)[1],
        KEY_OF_LEARNER: make_key(learner, *SCOPES)[1],
        KEY_GONE: "mk_000000000000_nothing",
    }
    return {
        NOBODY: Client,
        **{name: (lambda user=user: signed_in(user)) for name, user in users.items()},
        **{name: (lambda text=text: with_key(text)) for name, text in keys.items()},
    }


@pytest.fixture
def bodies(db: None) -> dict[str, Any]:
    coupon, (pending, _) = make_coupon(), make_pending(email="learner@example.com")
    return {
        "/api/auth/signin": {"email": "nobody@example.com", "password": "wrong"},
        "/api/checkout": {"courseId": "none", "email": "a@example.com", "acceptTerms": True},
        "/api/grants": {**APPLICATION, "courseId": make_course().slug},
        "/api/grants/validate": {
            "courseId": coupon.course.slug, "email": HOLDER, "couponCode": coupon.code
        },
        "/api/affiliate/register": {},
        SYNC: {"enrollmentId": str(pending.pk)},
    }  # fmt: skip


def ask(client: Client, method: str, path: str, body: Any) -> str:
    answer = client.get(path) if method == "get" else post(client, path, body)
    code = answer.json().get("code", "") if answer.status_code >= 400 else ""
    return f"{answer.status_code} {code}".strip()


@pytest.mark.every_engine
def test_everybody_gets_what_the_table_says_and_the_document_lists(people, bodies) -> None:
    operations = document()["paths"]
    rows = {
        (method, path)
        for path, methods in operations.items()
        for method, each in methods.items()
        if "x-limit" in each
    }
    assert rows == set(TABLE)
    for (method, path), expected in TABLE.items():
        wanted = {**expected, KEY_GONE: GONE}
        assert set(wanted) == set(people)
        got = {who: ask(come(), method, path, bodies.get(path)) for who, come in people.items()}
        assert got == wanted, (method, path)
        each = operations[path][method]
        listed = codes_of(each)
        for status, _, code in (answer.partition(" ") for answer in got.values()):
            assert status in each["responses"], (method, path, status)
            assert not code or code in listed[status], (method, path, code)


def test_every_post_without_a_key_asks_for_our_token(people, bodies) -> None:
    """Requirement R019: of everybody, before anything else of the request is looked at."""
    for method, path in TABLE:
        if method == "post":
            for user in (None, User.objects.get(email="boss@example.com")):
                client = Client(enforce_csrf_checks=True)
                if user:
                    client.force_login(user)
                assert ask(client, method, path, bodies[path]) == FORBIDDEN, path


def test_nobody_reads_anothers_rows(people, bodies) -> None:
    def emails(who: str) -> set[str]:
        rows = people[who]().get("/api/enrollments").json()["enrollments"]
        return {row["email"] for row in rows}

    everything = emails(BOSS)
    assert emails(LEARNER) == {"learner@example.com"} < {*everything, "x"}
    assert emails(OTHER) == emails(AFFILIATE) == emails(BLIND) == set()
    assert emails(SUPPORT) == emails(KEY) == everything
    for name in roles.ROLES:
        assert emails(ROLE[name]) == (everything if name in SEES else set()), name
    assert emails(KEY_OF_LEARNER) == {"learner@example.com"}
    for who in (LEARNER, OTHER, BOSS, KEY):
        assert people[who]().get("/api/grants").json()["grants"] == []


def test_addresses_of_schedulers_and_monitors_keep_their_own_secrets(people) -> None:
    for who, come in people.items():
        client = come()
        for path in ("frappe-retry", "retry-frappe-sync", "expire-grants"):
            assert ask(client, "post", f"/api/cron/{path}", {}) == "401 CRON_REFUSED", who
        seen = ask(client, "get", "/api/admin/cache-stats", None)
        is_staff = who in (BLIND, SUPPORT, BOSS, *ROLE.values())
        assert seen == ("200" if is_staff else "401 MONITOR_REFUSED"), who

"""Requirements about the whole product at once: read off its routes, its models, its pages and its
source.
"""

import ast
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from structlog.contextvars import get_contextvars

from accounts.models import User
from courses.models import Course
from enrollments.models import Enrollment
from lms_sync.models import SyncJob
from maaledu.errors import AppError
from maaledu.work.queue import Queue, drain
from notifications.models import Email
from payments.models import Payment
from script.files import project_files
from tests.architecture import ROOT, nodes, product
from tests.factories import make_course, make_pending
from tests.maaledu.test_checks import GOOD, run
from tests.processes import python
from tests.storefront.test_my_courses import signed_in

OURS = (
    "accounts",
    "affiliates",
    "api",
    "courses",
    "demo",
    "enrollments",
    "grants",
    "legacy",
    "lms_sync",
    "notifications",
    "office",
    "operations",
    "payments",
    "storefront",
)
MANY = 120
AGGREGATE = r"COUNT\(|SUM\(|SELECT DISTINCT|\$group|\$count"
OWN_KEY = r"[0-9a-f]{8}-?[0-9a-f]{4}-?7[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}"
LIMIT = r"(?:LIMIT |'\$limit': )(\d+)"
SECRETS = r"(sk|rk)_live_[0-9A-Za-z]{8}|whsec_[0-9A-Za-z]{20}|SG\.[\w-]{10,}\.[\w-]{10,}|://[^\s/:@{}*]+:[^\s/:@{}*]{6,}@"


def routes(patterns: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns)
        else:
            yield pattern


def our_models() -> list[type[models.Model]]:
    return [model for app in OURS for model in apps.get_app_config(app).get_models()]


def calls(name: str) -> dict[str, list[ast.Call]]:
    """Return the calls of a function or method of this name, by module of the product."""
    found: dict[str, list[ast.Call]] = {}
    for module in product():
        for node in nodes(module, ast.Call):
            if name in (
                getattr(node.func, "attr", ""),
                getattr(node.func, "id", ""),
            ):
                found.setdefault(module.name, []).append(node)
    return {name: nodes for name, nodes in found.items() if not name.startswith("sandbox")}


# --- access ---------------------------------------------------------------------------------------
@pytest.mark.no_database
def test_only_the_signed_webhook_and_the_cron_endpoint_do_without_csrf_protection() -> None:
    """Requirement R019: both carry a secret of their own, and neither reads a cookie.

    The API asks for the token itself, of all but those with a key: tests/api/test_access.py. What
    is only read takes no POST, with or without our token.
    """
    exempt = {
        pattern.name: pattern.callback
        for pattern in routes(get_resolver().url_patterns)
        if getattr(pattern.callback, "csrf_exempt", False)
        and pattern.callback.__module__ != "ninja.operation"
    }
    secured = {
        "api_webhook",
        "stripe_webhook",
        "sendgrid_webhook",
        "cron_expire_grants",
        "cron_frappe_retry",
        "cron_retry_frappe_sync",
    }
    assert secured <= exempt.keys()
    post = RequestFactory().post("/")
    for name in exempt.keys() - secured:
        assert exempt[name](post).status_code == 405, name


@pytest.mark.any_engine
@pytest.mark.parametrize("who", ["visitor", "learner"])
def test_every_page_of_the_office_asks_for_a_member_of_staff(db: None, who: str) -> None:
    """Requirement R020."""
    client = signed_in("learner@example.com") if who == "learner" else Client()
    names = {
        f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for model in admin.site._registry
    }
    for path in {"/admin/", *names, *(f"{name}add/" for name in names)}:
        answer = client.get(path)
        assert answer.status_code in (302, 403), path
        assert answer.get("Location", "/admin/login/").startswith(
            ("/accounts/login/", "/admin/login/")
        ), path


# --- models ---------------------------------------------------------------------------------------
@pytest.mark.no_database
def test_there_is_one_neutral_record_of_the_sync_and_no_second_one() -> None:
    """Requirements R117-R119, R121: the job and the enrollment name no product; what the old
    platform kept twice is kept once.
    """
    names = {model: {field.name for field in model._meta.get_fields()} for model in our_models()}
    assert not [
        (model, name)
        for model, fields in names.items()
        for name in fields
        if "frappe" in name or "openedx" in name
    ]
    assert {"lms_platform", "lms_status", "lms_enrollment_id", "lms_synced_at"} <= names[Enrollment]
    assert names[SyncJob] >= {
        "action",
        "platform",
        "email",
        "full_name",
        "course_id",
        "payload",
        "attempts",
        "next_attempt_at",
        "status",
        "last_error",
        "dedupe_key",
        "lms_enrollment_id",
        "finished_at",
        "created_at",
        "updated_at",
    }
    assert [model for model, fields in names.items() if "lms_status" in fields] == [Enrollment]
    assert set(dict(Enrollment._meta.get_field("lms_status").choices)) == {
        "pending",
        "success",
        "failed",
        "retrying",
        "awaiting_account",
        "lost",
        "revoked",
    }


@pytest.mark.no_database
def test_a_course_holds_no_list_of_people_and_no_count() -> None:
    """Requirements R028, R029."""
    fields = [field for field in Course._meta.get_fields() if not field.auto_created]
    assert [field.name for field in fields if field.is_relation] == []
    # What its page says, of at most as many rows as `courses.outline` takes: no learner is in it.
    lists = {field.name for field in fields if isinstance(field, models.JSONField)}
    assert lists == {"outcomes", "syllabus", "instructors"}
    assert not [
        field.name
        for field in fields
        if re.search("enrol|student|learner|user|count|total", field.name)
    ]


@pytest.mark.no_database
def test_every_address_in_every_table_is_checked_for_its_form() -> None:
    """Requirement R179."""
    found = [
        f
        for model in our_models()
        for f in model._meta.concrete_fields
        if f.name in {"email", "to"}
    ]
    assert {f.model._meta.label for f in found} == {
        "accounts.LearnerNote",
        "accounts.User",
        "affiliates.Affiliate",
        "enrollments.Enrollment",
        "grants.Grant",
        "lms_sync.SyncJob",
        "notifications.Email",
        "notifications.UndeliverableAddress",
    }
    for field in found:
        for bad in ("nobody", "a@b\r\nBcc: c@d.example", "a b@example.com"):
            with pytest.raises(ValidationError):
                field.run_validators(bad)


# --- amounts of data ------------------------------------------------------------------------------
@pytest.mark.any_engine
@pytest.mark.parametrize(
    "page", ["/account/", "/admin/enrollments/enrollment/", "/admin/payments/payment/", "/"]
)
def test_no_page_reads_all_enrollments(db: None, page: str) -> None:
    """Requirement R202: however many there are, a page reads its own share of them."""
    course = make_course()
    rows = Enrollment.objects.bulk_create(_enrollment(course, number) for number in range(MANY))
    Payment.objects.bulk_create(_payment(row) for row in rows)
    client = signed_in("many@example.com")
    if page.startswith("/admin/"):
        User.objects.filter(email="many@example.com").update(is_staff=True, is_superuser=True)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(page).status_code == 200
    reads = [
        query["sql"]
        for query in captured
        if re.search(
            r'FROM "(?:enrollments|payments)_|^db\.(?:enrollments|payments)_', query["sql"]
        )
    ]
    assert reads or page == "/"
    unlimited = [sql for sql in reads if not re.search(f"{AGGREGATE}|{LIMIT}", sql)]
    # What belongs to the rows of the page is read by their keys.
    assert [sql for sql in unlimited if not 0 < len(re.findall(OWN_KEY, sql)) <= 51] == []
    assert all(int(number) <= 51 for sql in reads for number in re.findall(LIMIT, sql))


def _enrollment(course: Course, number: int) -> Enrollment:
    email = "many@example.com" if number % 2 else f"n{number}@example.com"
    status = Enrollment.PENDING if not number % 2 or number == 1 else Enrollment.REFUNDED
    snapshot = {
        "kind": "paid",
        "course_title": course.title,
        "course_slug": course.slug,
        "lms_platform": "frappe",
    }
    prices = {"list_price": course.price, "amount": course.price, "currency": course.currency}
    return Enrollment(
        course=course,
        email=email,
        status=status,
        lms_course_id=course.lms_course_id,
        **snapshot,
        **prices,
    )


def _payment(enrollment: Enrollment) -> Payment:
    money = {"amount": enrollment.amount, "currency": enrollment.currency}
    return Payment(
        enrollment=enrollment,
        idempotency_key=str(enrollment.pk),
        expires_at=enrollment.created_at,
        **money,
    )


# --- source ---------------------------------------------------------------------------------------
@pytest.mark.no_database
def test_one_function_hands_messages_to_the_mail_server() -> None:
    """Requirement R145."""
    assert set(calls("send_messages")) == {"notifications.delivery"}
    assert len(calls("send_messages")["notifications.delivery"]) == 1
    assert calls("EmailMultiAlternatives").keys() == {"notifications.outgoing"}
    assert not calls("mail_admins") | calls("EmailMessage") | calls("mail_managers")
    assert calls("stage_confirmation").keys() == {"enrollments.provisioning", "demo.sales"}


@pytest.mark.no_database
def test_an_enrollment_ends_in_one_module() -> None:
    """Requirement R208: whoever ends an enrollment goes through `settlement`, but for the named
    exception, a free grant's that the LMS refused. Refunds and payouts are no enrollments.
    """
    ended, others = {"FAILED", "EXPIRED", "CANCELLED"}, {"Refund", "Payout", "PayoutBatch"}
    found = {
        module
        for name in ("transition", "_move")
        for module, nodes in calls(name).items()
        for node in nodes
        for argument in node.args[1:2]
        if isinstance(argument, ast.Attribute)
        and argument.attr in ended
        and getattr(argument.value, "id", "") not in others
    }
    assert found == {"payments.settlement", "enrollments.coupons"}


@pytest.mark.no_database
def test_every_refusal_has_a_code_of_its_own() -> None:
    """Requirement R164."""
    classes = [AppError, *_subclasses(AppError)]
    codes = [cls.code for cls in classes if cls.__module__.split(".")[0] in {"maaledu", *OURS}]
    assert [code for code in codes if not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", code)] == []
    # a base that is never raised; an outage, the same reason counted otherwise
    inherited = {"INTERNAL_ERROR", "LMS_UNAVAILABLE"}
    assert {code for code in codes if codes.count(code) > 1} <= inherited


def _subclasses(cls: type[AppError]) -> Iterator[type[AppError]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


@pytest.mark.no_database
def test_no_secret_is_written_down_anywhere() -> None:
    """Requirement R178: outside the environment there are only the sandbox's own keys."""
    names = [str(path.relative_to(ROOT)) for path in project_files()]
    texts = [name for name in names if not name.startswith(("tests/", "static/"))]
    assert len(texts) > 100
    found = {
        name: match[0]
        for name in texts
        if (match := re.search(SECRETS, (ROOT / name).read_text(errors="replace")))
    }
    assert {name: text for name, text in found.items() if "user:password@" not in text} == {}
    assert re.search(SECRETS, "postgres://shop:hunter22@db.example/shop")
    assert re.search(SECRETS, "sk_" + "live_0123456789")


# --- one machine and several ----------------------------------------------------------------------
SHOW = """
from django.conf import settings
backends = (cache["BACKEND"] for cache in settings.CACHES.values())
print(*backends, settings.CELERY_BROKER_URL or "none")
"""


@pytest.mark.slow
@pytest.mark.no_database
def test_redis_is_optional_and_shared_where_it_is_given() -> None:
    """Requirements R008, R171."""
    alone = run(python("-c", SHOW), REDIS_URL="").stdout.split()
    shared = run(python("-c", SHOW)).stdout.split()
    assert alone == ["django.core.cache.backends.locmem.LocMemCache"] * 2 + ["none"]
    assert shared == ["maaledu.cache.ForgivingRedisCache"] * 2 + [GOOD["REDIS_URL"]]


ASK = """
import django
django.setup()
from django.test import Client
host = {"headers": {"host": "learn.example.com"}}
safe, plain = Client().get("/health/live", secure=True, **host), Client().get("/", **host)
print(safe["Strict-Transport-Security"], plain.status_code, plain["Location"])
"""


@pytest.mark.slow
@pytest.mark.no_database
def test_production_speaks_https_only_and_says_so_for_a_year() -> None:
    """Requirement R173."""
    header, status, location = run(python("-W", "ignore", "-c", ASK)).stdout.strip().rsplit(" ", 2)
    assert header.startswith("max-age=31536000; includeSubDomains")
    assert (status, location) == ("301", "https://learn.example.com/")


@pytest.mark.any_engine
def test_the_support_address_is_a_setting_that_failures_show(db: None, settings) -> None:
    """Requirement R011."""
    settings.SUPPORT_EMAIL = "help@shop.example"
    enrollment, _ = make_pending(status="failed", failure_code="AMOUNT_MISMATCH")
    for path in (
        "/nowhere",
        enrollment.get_absolute_url(),
        f"{enrollment.get_absolute_url()}status/",
    ):
        assert "help@shop.example" in Client().get(path).content.decode(), path


# --- log lines ------------------------------------------------------------------------------------
def test_the_lines_of_a_piece_of_work_carry_its_id(db: None) -> None:
    """Requirement R176: what a request's id is to a request, the item's id is to a worker."""
    seen = []
    queue = Queue(
        "emails",
        Email,
        lambda item: seen.append((str(item.pk), get_contextvars())),
        backoff=lambda _: None,
        lease=timedelta(60),
    )
    items = [Email.objects.create(dedupe_key=key, kind="any", to="a@example.com") for key in "ab"]
    drain(queue)
    assert sorted(key for key, _ in seen) == sorted(str(item.pk) for item in items)
    assert all(context["work_item"] == key for key, context in seen)
    assert "work_item" not in get_contextvars()

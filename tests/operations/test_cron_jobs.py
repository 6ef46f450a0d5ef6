"""What a scheduler calls to have LMS jobs done and coupons expired (requirement R154)."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from enrollments.models import Enrollment
from grants import redemption
from grants.models import Grant
from lms_sync.models import PlatformState, SyncJob
from tests.any_engine import seldom
from tests.enrollments.test_provisioning import buy
from tests.office.test_lms import make_job, make_letter
from tests.operations.test_cron import PATH as EXPIRE
from tests.operations.test_cron import SECRET, copies_of, overdue
from tests.sandbox_client import Sandbox

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
PATHS = ("/api/cron/frappe-retry", "/api/cron/retry-frappe-sync")
HEADERS = {"Authorization": f"Bearer {SECRET}"}
WAYS = [(path, method) for path in PATHS for method in ("post", "get")]


@pytest.fixture(autouse=True)
def _secret(settings: Settings) -> None:
    settings.CRON_SECRET = SECRET


def run(path: str, method: str = "post", headers: dict[str, str] | None = None) -> tuple[int, dict]:
    client = Client(enforce_csrf_checks=True)
    address = f"{path}?run=1" if method == "get" else path
    answer = getattr(client, method)(address, headers=HEADERS if headers is None else headers)
    return answer.status_code, {k: v for k, v in answer.json().items() if k != "timestamp"}


def due_jobs(number: int, client: Client) -> None:
    for each in range(number):
        buy(client, slug=f"course-{each}")
    SyncJob.objects.update(next_attempt_at=timezone.now())


@pytest.mark.parametrize(
    ("path", "method"),
    [WAYS[0], *(pytest.param(*way, marks=pytest.mark.any_engine) for way in WAYS[1:])],
)
def test_each_way_to_call_works_on_ten_jobs_and_says_what_came_of_them(
    client: Client, sandbox: Sandbox, path: str, method: str
) -> None:
    """Fault O10: a scheduler that can only GET was answered 405."""
    due_jobs(12, client)
    counts = {"success": True, "processed": 10, "succeeded": 10, "failed": 0, "remaining": 2}
    assert run(path, method) == (200, counts)
    assert Enrollment.objects.filter(lms_status="success").count() == 10
    rest = {"success": True, "processed": 2, "succeeded": 2, "failed": 0, "remaining": 0}
    assert run(path, method) == (200, rest)


@pytest.mark.every_engine
def test_what_fails_is_counted_and_tried_once_in_a_call(client: Client, sandbox: Sandbox) -> None:
    due_jobs(1, client)
    sandbox.fault("lms", "401")
    counts = {"success": True, "processed": 1, "succeeded": 0, "failed": 1, "remaining": 0}
    assert run(PATHS[0]) == (200, counts)
    assert SyncJob.objects.get().fence == 1


@pytest.mark.every_engine
def test_a_job_that_is_due_again_in_the_same_call_is_left_to_the_next(
    client: Client, sandbox: Sandbox, settings: Settings
) -> None:
    settings.LMS_SECOND_ATTEMPT_AFTER = timedelta(0)
    due_jobs(2, client)
    sandbox.fault("lms", "deadlock", "POST /api/resource/LMS Enrollment", times=1)
    counts = {"success": True, "processed": 2, "succeeded": 1, "failed": 1, "remaining": 1}
    assert run(PATHS[0]) == (200, counts)
    assert sorted(SyncJob.objects.values_list("fence", flat=True)) == [1, 1]
    rest = {"success": True, "processed": 1, "succeeded": 1, "failed": 0, "remaining": 0}
    assert run(PATHS[0]) == (200, rest)


@pytest.mark.every_engine
def test_a_job_that_a_lost_worker_held_is_run(client: Client, sandbox: Sandbox) -> None:
    """A shop may have no other worker than this address."""
    due_jobs(1, client)
    lapsed = timezone.now() - timedelta(seconds=1)
    SyncJob.objects.update(status="running", lease_until=lapsed, fence=1)
    counts = {"success": True, "processed": 1, "succeeded": 1, "failed": 0, "remaining": 0}
    assert run(PATHS[0]) == (200, counts)


def test_a_platform_that_answers_again_is_noticed(client: Client, sandbox: Sandbox) -> None:
    due_jobs(1, client)
    PlatformState.objects.create(name="frappe", state="open", retry_at=timezone.now())
    counts = {"success": True, "processed": 1, "succeeded": 1, "failed": 0, "remaining": 0}
    assert run(PATHS[0]) == (200, counts)


@pytest.mark.breaks_invariants
def test_of_more_coupons_than_one_call_takes_the_rest_remains(db: None) -> None:
    overdue(1)
    taken = redemption.MOST_AT_ONCE
    Grant.objects.bulk_create(copies_of(Grant.objects.get(), taken + 1))
    health = Client().get(EXPIRE, headers=HEADERS)
    assert (health.status_code, health.json()["overdue"]) == (503, taken + 2)
    counts = {"processed": taken, "succeeded": taken, "failed": 0, "remaining": 2}
    assert run(EXPIRE) == (200, {"success": True, "expired": taken, **counts})
    assert Client().get(EXPIRE).status_code == 200


@pytest.mark.breaks_invariants
def test_over_a_hundred_due_jobs_are_no_health() -> None:
    now = timezone.now()
    SyncJob.objects.bulk_create(
        SyncJob(dedupe_key=str(n), platform="frappe", email="a@b.example", next_attempt_at=now)
        for n in range(100)
    )
    assert Client().get(PATHS[0]).status_code == 200
    make_job()
    SyncJob.objects.update(next_attempt_at=now)
    assert Client().get(PATHS[0]).status_code == 503


def test_no_job_is_begun_after_twenty_seconds(
    client: Client, sandbox: Sandbox, settings: Settings
) -> None:
    settings.CRON_RUN_BUDGET = timedelta(0)
    due_jobs(1, client)
    status, counts = run(PATHS[0])
    assert (status, counts["processed"], counts["remaining"]) == (200, 0, 1)


@pytest.mark.breaks_invariants
@pytest.mark.parametrize(("path", "method"), [*WAYS, (EXPIRE, "post"), (EXPIRE, "get")])
@pytest.mark.parametrize("header", ["", "Bearer wrong", SECRET, f"bearer {SECRET}"])
def test_without_the_secret_nothing_is_run(path: str, method: str, header: str) -> None:
    overdue(1)
    SyncJob.objects.update(next_attempt_at=timezone.now())
    make_job()
    status, body = run(path, method, {"Authorization": header})
    assert (status, body["code"]) == (401, "CRON_REFUSED")
    assert (Grant.objects.get().status, SyncJob.objects.get().status) == ("approved", "pending")
    assert SyncJob.objects.get().fence == 0


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "query", seldom(["", "?run=0", "?run=", "?run=true", "?ran=1"], on_every_engine=[""])
)
def test_a_get_is_health_and_works_on_nothing(path: str, query: str) -> None:
    make_job()
    SyncJob.objects.update(next_attempt_at=timezone.now())
    answer = Client().get(path + query)
    assert (answer.status_code, set(answer.json())) == (200, {"status", "timestamp"})
    assert answer.json()["status"] == "healthy"
    shown = Client().get(path + query, headers=HEADERS).json()
    assert (shown["due"], shown["waiting"], shown["dead"]) == (1, 1, 0)
    assert SyncJob.objects.get().fence == 0


def test_a_head_runs_nothing() -> None:
    overdue(1)
    assert Client().head(f"{EXPIRE}?run=1", headers=HEADERS).status_code == 200
    assert Grant.objects.get().status == "approved"


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_a_dead_letter_is_no_health() -> None:
    make_letter()
    answer = Client().get(PATHS[0])
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")


def test_coupons_expire_by_get_as_well_and_are_counted() -> None:
    overdue(3)
    health = Client().get(EXPIRE, headers=HEADERS)
    assert (health.status_code, health.json()["overdue"]) == (200, 3)
    counts = {"processed": 3, "succeeded": 3, "failed": 0, "remaining": 0}
    assert run(EXPIRE, "get") == (200, {"success": True, "expired": 3, **counts})
    none = dict.fromkeys(counts, 0)
    assert run(EXPIRE, "get") == (200, {"success": True, "expired": 0, **none})

"""What Prometheus reads is right to the unit, over processes and against the database."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import requests
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from affiliates.models import Commission
from enrollments.models import Enrollment
from lms_sync.models import PlatformState, SyncJob
from maaledu import metrics
from operations import figures, heartbeats, tallies
from payments.models import Payment, StripeEvent
from tests.affiliates.make import make_affiliate
from tests.architecture import ROOT
from tests.factories import completed, deliver, make_course, make_pending, signed
from tests.operations.test_health import TOKEN, staff
from tests.operations.test_levels import job
from tests.operations.test_outages import sweep
from tests.processes import free_port, python
from tests.sandbox_client import Sandbox, wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.any_engine]
DEPLOY = ROOT / "deploy"


@pytest.fixture
def monitor(settings, db) -> Client:
    settings.MONITOR_TOKEN, settings.METRICS_FIGURES_FOR = TOKEN, timedelta(0)
    return Client(headers={"Authorization": f"Bearer {TOKEN}"})


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(client: Client, name: str, **labels: str) -> float:
    """Return one sample as /metrics shows it; 0 where nothing was counted.

    Only its own lines are read: after many tests there are thousands of others.
    """
    lines = client.get("/metrics").content.decode().splitlines(keepends=True)
    found = samples("".join(line for line in lines if line.startswith(name)))
    return found.get((name, frozenset(labels.items())), 0)


# --- who may read ---------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/metrics", "/api/admin/cache-stats"])
def test_only_monitors_and_staff_read_it(client, monitor, django_user_model, path) -> None:
    refused = client.get(path, headers={"Accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (401, "MONITOR_REFUSED")
    assert monitor.get(path).status_code == 200
    assert staff(django_user_model).get(path).status_code == 200
    assert monitor.post(path).status_code == 405


# --- what the database says -----------------------------------------------------------------------
@pytest.mark.every_engine
def test_payments_enrollments_and_revenue_are_those_of_the_database(client, monitor) -> None:
    for number in range(3):
        _, payment = make_pending(make_course(slug=f"course-{number}"))
        if number:
            deliver(client, completed(payment))
    received = sum(Payment.objects.filter(status="paid").values_list("amount_received", flat=True))
    assert received > 0
    assert value(monitor, "maaledu_payments", status="paid") == 2
    assert value(monitor, "maaledu_payments", status="pending") == 1
    assert value(monitor, "maaledu_revenue_minor_units", currency="usd") == received
    assert value(monitor, "maaledu_enrollments", kind="paid", status="paid") == 2
    assert value(monitor, "maaledu_access", lms_status="pending") == 2
    assert value(monitor, "maaledu_queue_items", queue="lms", status="pending") == 2
    assert value(monitor, "maaledu_queue_due", queue="lms") == 2


@pytest.mark.breaks_invariants
def test_levels_ages_and_what_is_at_its_last_attempt(monitor) -> None:
    """Requirement R182."""
    now = timezone.now()
    heartbeats.note("worker")
    PlatformState.objects.create(name="frappe", state="open", last_error="HTTP 502")
    job(attempts=6, created_at=now - timedelta(hours=25), next_attempt_at=now)
    job(attempts=5)
    assert value(monitor, "maaledu_queue_last_attempt") == 1
    assert value(monitor, "maaledu_queue_stuck", queue="lms") == 1
    assert value(monitor, "maaledu_lms_blocked", platform="frappe") == 1
    assert value(monitor, "maaledu_lms_calls_per_second", platform="frappe") == 1000
    assert value(monitor, "maaledu_lms_calls_at_once", platform="frappe") == 64
    assert value(monitor, "maaledu_lms_seats_in_use", platform="frappe") == 0
    assert value(monitor, "maaledu_lms_no_new_users", platform="frappe") == 0
    assert value(monitor, "maaledu_level") == 2
    assert value(monitor, "maaledu_trouble", cause="scheduler") == 2
    assert 0 <= value(monitor, "maaledu_heartbeat_age_seconds", part="worker") < 60


@pytest.mark.every_engine
@pytest.mark.breaks_invariants
def test_a_commission_that_is_not_rate_times_list_price_is_counted(monitor, settings) -> None:
    """KPI 3, requirement R186."""
    affiliate = make_affiliate()
    for number, amount in enumerate((4990, 4991, 0, 4989, 3000)):
        Commission.objects.create(
            enrollment_id=f"00000000-0000-7000-8000-00000000000{number}",
            affiliate=affiliate,
            course_slug="c",
            base=49_900,
            rate_basis_points=1000,
            amount=amount,
            currency="usd",
            available_at=timezone.now(),
        )
    assert value(monitor, "maaledu_commissions", which="all") == 4
    assert value(monitor, "maaledu_commissions", which="wrong") == 3
    # 10 % of 499.06 is 49.906: 49.91, and 49.90 is less than a unit off.
    Commission.objects.filter(amount=4990).update(base=49_906)
    assert value(monitor, "maaledu_commissions", which="wrong") == 4
    Commission.objects.filter(amount=4990).update(base=49_900)
    settings.COMMISSION_CAP = "amount_paid"
    assert value(monitor, "maaledu_commissions", which="wrong") == 1


def test_the_figures_are_summed_up_once_in_their_time(monitor, settings) -> None:
    settings.METRICS_FIGURES_FOR = timedelta(seconds=30)
    make_pending()
    assert value(monitor, "maaledu_payments", status="pending") == 1
    make_pending(make_course(slug="another"))
    assert value(monitor, "maaledu_payments", status="pending") == 1
    settings.METRICS_FIGURES_FOR = timedelta(0)
    assert value(monitor, "maaledu_payments", status="pending") == 2


def by_status(moment: datetime) -> dict[tuple[str, ...], int]:
    return dict(tallies.counted(figures.PAYMENTS.current(moment), by=lambda each: each[:1]))


@pytest.mark.every_engine
def test_only_the_weeks_of_rows_that_were_written_are_summed_up_again_and_daily_all() -> None:
    now = timezone.now()
    made = []
    for weeks in (5, 10, 15):
        _, payment = make_pending(make_course(slug=f"course-{weeks}"))
        at = now - timedelta(weeks=weeks)
        made.append(Payment.objects.filter(pk=payment.pk))
        made[-1].update(created_at=at, updated_at=at)
    assert by_status(now) == {("pending",): 3}
    made[0].update(status="expired", updated_at=now)
    made[1].update(status="expired")  # which nobody does, and shows that its week is not read
    assert by_status(now) == {("expired",): 1, ("pending",): 2}
    make_pending(make_course(slug="new"))
    assert by_status(now) == {("expired",): 1, ("pending",): 3}
    assert by_status(now + timedelta(hours=25)) == {("expired",): 2, ("pending",): 2}


@pytest.mark.every_engine
def test_what_was_written_shortly_before_the_last_look_and_committed_after_it_is_seen() -> None:
    now = timezone.now()
    make_pending()
    Payment.objects.update(created_at=now - timedelta(weeks=5), updated_at=now - timedelta(weeks=5))
    assert by_status(now) == {("pending",): 1}
    Payment.objects.update(status="expired", updated_at=now - timedelta(minutes=4))
    assert by_status(now + timedelta(seconds=30)) == {("expired",): 1}


# --- what this process counts ---------------------------------------------------------------------
class Growth:
    """How much a counter has grown since this was made: others have counted before."""

    def __init__(self, client: Client, name: str, **labels: str) -> None:
        self.now = lambda: value(client, name, **labels)
        self.before = self.now()

    def __call__(self) -> float:
        return self.now() - self.before


def test_requests_are_counted_by_endpoint_method_and_status(client, monitor) -> None:
    labels = {"endpoint": "health_live", "method": "GET", "status": "200"}
    grown = Growth(monitor, "maaledu_request_seconds_count", **labels)
    for _ in range(3):
        client.get("/health/live")
    assert grown() == 3


def test_visitors_make_up_no_label(client, monitor) -> None:
    before = monitor.get("/metrics").content.decode()
    for name in ("a", "b", "c"):
        client.get(f"/no-such-{name}/")
        client.generic(name.upper() * 5, "/health/live")
    text = monitor.get("/metrics").content.decode()
    assert not re.search(r"no-such|AAAAA", text)
    assert len(samples(text)) - len(samples(before)) < 50
    assert ("", "AAAAA", 405) not in metrics._requests


@pytest.mark.every_engine
def test_a_repeated_event_and_email_are_counted_as_skipped(client, monitor) -> None:
    """KPI 5, requirement R188."""
    _, payment = make_pending()
    event = completed(payment)
    grown = Growth(monitor, "maaledu_idempotency_skips_total", what="Event already processed")
    for _ in range(3):
        deliver(client, event)
    assert grown() == 2


def test_a_request_over_its_limit_is_counted(client, monitor) -> None:
    """KPI 4, requirement R187."""
    grown = Growth(monitor, "maaledu_limits_hit_total", limit="api")
    for _ in range(12):
        client.get("/api/health/frappe")
    assert grown() == 2


def test_what_the_second_attempt_heals_is_counted(client, monitor, sandbox: Sandbox) -> None:
    """Requirement R189, with the calls, the runs and the attempts of an outage of one call."""
    _, payment = make_pending()
    deliver(client, completed(payment))
    names = ("maaledu_work_healed_total", "maaledu_work_first_failures_total")
    healed, failed = (Growth(monitor, name, queue="lms") for name in names)
    used = Growth(monitor, "maaledu_work_attempts_total", queue="lms")
    done = Growth(monitor, "maaledu_work_seconds_count", queue="lms", outcome="done")
    again = Growth(monitor, "maaledu_work_seconds_count", queue="lms", outcome="again")
    answered = Growth(monitor, "maaledu_lms_call_seconds_count", platform="frappe", answer="none")
    sandbox.fault("lms", "reset", times=1)
    sweep()
    sandbox.heal()
    sweep()
    assert Enrollment.objects.get().has_access
    assert [grown() for grown in (failed, healed, used, again, done)] == [1, 1, 1, 1, 1]
    assert answered() == 1


def test_what_only_the_third_attempt_gets_done_is_not_healed(client, monitor, sandbox) -> None:
    _, payment = make_pending()
    deliver(client, completed(payment))
    names = ("maaledu_work_healed_total", "maaledu_work_first_failures_total")
    healed, failed = (Growth(monitor, name, queue="lms") for name in names)
    sandbox.fault("lms", "reset", times=2)
    for _ in range(3):
        SyncJob.objects.update(next_attempt_at=timezone.now())
        sweep()
    assert Enrollment.objects.get().has_access
    assert (failed(), healed()) == (1, 0)


def test_hits_and_misses_of_the_cache_are_counted(client, monitor) -> None:
    """Requirements R157, R194."""
    before = monitor.get("/api/admin/cache-stats").json()
    make_course()
    for _ in range(4):
        client.get("/")
    after = monitor.get("/api/admin/cache-stats").json()
    assert (after["hits"] - before["hits"], after["misses"] - before["misses"]) == (3, 1)
    assert re.fullmatch(r"\d+\.\d %", after["hitRate"])
    rate = 100 * after["hits"] / (after["hits"] + after["misses"])
    assert abs(float(after["hitRate"].removesuffix(" %")) - rate) <= 0.051


# --- over processes -------------------------------------------------------------------------------
EVENTS, PROCESSES = 24, 4


@pytest.mark.slow
@pytest.mark.engines("postgres")  # where a shop has several web processes
def test_four_processes_under_load_add_up_to_the_unit(start, process_env, tmp_path) -> None:
    payments = [make_pending(make_course(slug=f"c-{n}"))[1] for n in range(EVENTS)]
    bodies = [json.dumps(completed(payment)) for payment in payments]
    port, folder = free_port(), tmp_path / "metrics"
    web = start(
        python("-m", "gunicorn", "maaledu.wsgi", "--bind", f"127.0.0.1:{port}"),
        WEB_CONCURRENCY=str(PROCESSES),
        PROMETHEUS_MULTIPROC_DIR=str(folder),
        MONITOR_TOKEN=TOKEN,
    )
    web.wait_port(port)
    wait_until(lambda: len(list(folder.glob("*.lock"))) == PROCESSES, 30)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda body: post(port, body), bodies * 2))
        pages = list(pool.map(lambda _: get(port, "/health/live").status_code, range(100)))
    assert (set(statuses), set(pages)) == ({200}, {200})
    found = samples(get(port, "/metrics").text)

    def counted(name: str, **labels: str) -> float:
        return found[(name, frozenset(labels.items()))]

    assert counted("maaledu_payments", status="paid") == EVENTS
    assert (
        counted("maaledu_payments", status="paid") == Payment.objects.filter(status="paid").count()
    )
    assert StripeEvent.objects.filter(status="done").count() == EVENTS
    skipped = sum(
        number for (name, _), number in found.items() if name == "maaledu_idempotency_skips_total"
    )
    assert skipped == EVENTS
    webhook = {"endpoint": "api_webhook", "method": "POST", "status": "200"}
    assert counted("maaledu_request_seconds_count", **webhook) == 2 * EVENTS
    page = {"endpoint": "health_live", "method": "GET", "status": "200"}
    assert counted("maaledu_request_seconds_count", **page) == 100
    assert len(list(folder.glob("counter_*.db"))) <= PROCESSES


def post(port: int, body: str) -> int:
    headers = {"Stripe-Signature": signed(body), "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/api/webhook"
    return requests.post(url, body, headers=headers, timeout=30).status_code


def get(port: int, path: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return requests.get(f"http://127.0.0.1:{port}{path}", headers=headers, timeout=30)


COUNT = """
import django, sys
django.setup()
from maaledu import metrics
metrics.LIMITS.labels("api").inc()
print(sum(s.value for f in metrics.registry().collect() for s in f.samples
          if s.name == "maaledu_limits_hit_total"))
sys.stdout.flush()
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_process_that_ends_loses_no_count_and_leaves_no_file_behind(start, tmp_path) -> None:
    """Three processes one after the other count into the files of one."""
    folder = tmp_path / "metrics"
    for number in range(1, 4):
        process = start(python("-c", COUNT), PROMETHEUS_MULTIPROC_DIR=str(folder))
        process.wait_line(f"{number}.0")
        process.stop()
    assert len(list(folder.glob("counter_*.db"))) == 1


# --- what stands in deploy/ -----------------------------------------------------------------------
def exported() -> set[str]:
    """Return the name of every sample that /metrics can show."""
    endings = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}
    counted = {
        f"{family.name}{ending}"
        for family in metrics.REGISTRY.collect()
        for ending in endings.get(family.type, ("",))
    }
    return counted | set(figures.HELP)


def named() -> set[str]:
    texts = [path.read_text() for path in DEPLOY.rglob("*") if path.suffix in (".json", ".yml")]
    return set(re.findall(r"\bmaaledu_[a-z_]+", " ".join(texts)))


def test_every_metric_that_the_dashboard_and_the_rules_name_exists() -> None:
    assert len(named()) > 20
    assert sorted(named() - exported()) == []


def test_every_metric_is_shown_somewhere() -> None:
    ours = {name for name in exported() if name.startswith("maaledu_")}
    shown = {re.sub("_(bucket|count|sum|total)$", "", name) for name in named()}
    assert {re.sub("_(bucket|count|sum|total)$", "", name) for name in ours} - shown == set()


def test_every_alert_rule_has_its_entry_in_the_runbook() -> None:
    rules = re.findall(r"- alert: (\w+)", (DEPLOY / "prometheus" / "alerts.yml").read_text())
    text = (ROOT / "docs" / "runbook.md").read_text()
    assert len(rules) > 5
    assert [rule for rule in rules if f"`{rule}`" not in text] == []


def test_the_dashboard_is_readable_and_its_panels_do_not_overlap() -> None:
    board = json.loads((DEPLOY / "grafana" / "maaledu.json").read_text())
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]]
    assert len(set(places)) == len(places) > 20
    assert all(panel["targets"] for panel in board["panels"])

"""Every event of hundreds of sales, refunds and disputes, each several times and in no order, over
HTTP to real processes.

The end state is the one that a model comes to from the set of facts alone. `script/bench --replays`
runs it with ten times as many events, and prints the rate beside that of a bare view, which
verifies the same signature and inserts one row, on the same server and database in the same run.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum

from affiliates import ledger
from affiliates.models import Affiliate, Balance, Commission, LedgerEntry
from enrollments.models import Enrollment
from operations import invariants
from payments import waiting_reversals
from payments.models import Payment, StripeEvent
from tests.affiliates.make import make_affiliate
from tests.affiliates.sale_model import SaleModel, half_up
from tests.engines import ROOT
from tests.factories import (
    completed,
    dispute_of,
    disputed,
    event_of,
    make_course,
    make_pending,
    refund_of,
    refunded,
)
from tests.processes import Proc, free_port, python
from tests.system.leaks import leaks_in

pytestmark = pytest.mark.django_db
WEBHOOK = "/api/webhook"
# Distinct events, deliveries of each, senders, web processes.
SCALES = {"postgresql": (400, 4, 8, 2), "sqlite": (250, 3, 8, 1), "mongodb": (150, 3, 4, 1)}
EVENTS_MEASURED = int(os.environ.get("REPLAYED_EVENTS", "0"))  # set by script/bench, for PostgreSQL
BARE_DELIVERIES = 4_000
GOAL_PER_SECOND = 300
AFFILIATES = 20
REFUNDS = [("succeeded",), ("pending", "succeeded"), ("succeeded", "failed"), ("pending",)]
DISPUTES = [
    ("needs_response",),
    ("needs_response", "won"),
    ("needs_response", "lost"),
    ("warning_needs_response",),
]


@dataclass
class Story:
    """All that happened, as events to be told and as what a model makes of it."""

    affiliates: list[Affiliate]
    sales: dict[Any, SaleModel] = field(default_factory=dict)
    owners: dict[Any, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def add_sale(self, enrollment: Enrollment, payment: Payment, dice: random.Random) -> None:
        sale = self.sales[enrollment.pk] = SaleModel(
            payment.amount, half_up(Fraction(enrollment.list_price, 10))
        )
        self.owners[enrollment.pk] = enrollment.affiliate_id
        self.events.append(completed(payment))
        for _ in range(dice.choice([0, 0, 1, 2, 3])):
            self._refund(sale, payment, dice)
        if dice.random() < 0.3:
            self._dispute(sale, payment, dice)
        if dice.random() < 0.3:
            self.events.append(event_of(self.events[-1]["data"]["object"], self.events[-1]["type"]))

    def _refund(self, sale: SaleModel, payment: Payment, dice: random.Random) -> None:
        left = sale.paid - sale.committed
        amount = left if dice.random() < 0.3 else dice.randint(1, max(left // 2, 1))
        if left < 1:
            return
        told = refund_of(payment, amount)
        for status in dice.choice(REFUNDS):
            sale.record_refund(told["id"], amount, status)
            self.events.append(refunded({**told, "status": status}, "refund.updated"))

    def _dispute(self, sale: SaleModel, payment: Payment, dice: random.Random) -> None:
        for status in dice.choice(DISPUTES):
            sale.record_dispute(status)
            self.events.append(disputed(dispute_of(payment, status), "charge.dispute.updated"))


def tell_story(events: int, seed: int) -> Story:
    """Make affiliates, and sales with all that comes of them, until there are this many distinct
    events.
    """
    dice, course = random.Random(seed), make_course(price=49900)
    story = Story([make_affiliate(name=f"Partner {number}") for number in range(AFFILIATES)])
    while len(story.events) < events:
        affiliate = dice.choice(story.affiliates)
        referred = {
            "affiliate_id": affiliate.pk,
            "referral_code": affiliate.code,
            "commission_rate": 1000,
        }
        price = dice.choice([49900, 24950, 13399])
        enrollment, payment = make_pending(course, amount=price, commission_base=49900, **referred)
        story.add_sale(enrollment, payment, dice)
    return story


def deliver_all(
    port: int, path: str, bodies: list[str], senders: int, directory: Path
) -> tuple[float, Counter[str], list[float]]:
    """Have the bodies sent by several processes at once; return deliveries a second, statuses, and
    the seconds of each.
    """
    running = []
    for number in range(senders):
        batch = directory / f"events-{path.strip('/').replace('/', '-')}-{number}.jsonl"
        batch.write_text("\n".join(bodies[number::senders]))
        command = python("-m", "tests.system.sender", str(port), path, str(batch))
        running.append(
            subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
    for sender in running:
        assert sender.stdout
        assert sender.stdout.readline().strip() == "SENDER READY"
    started = time.monotonic()
    answers = [json.loads(sender.communicate("go\n")[0]) for sender in running]
    rate = len(bodies) / (time.monotonic() - started)
    statuses: Counter[str] = Counter()
    for answer in answers:
        statuses.update(answer["statuses"])
    return rate, statuses, sorted(second for answer in answers for second in answer["seconds"])


@pytest.fixture
def serve(system_env: dict[str, str], tmp_path: Path) -> Any:
    """Return a function that starts a web server with so many processes, and returns it with its
    port.
    """
    started: list[Proc] = []

    def start(application: str, workers: int, **environment: str) -> tuple[Proc, int]:
        port = free_port()
        command = python(
            "-m", "gunicorn", application, "--workers", str(workers), "--bind", f"127.0.0.1:{port}"
        )
        env = {**system_env, "SITE_URL": f"http://127.0.0.1:{port}", **environment}
        started.append(Proc(command, env=env, log=tmp_path / f"web-{len(started)}.log"))
        started[-1].wait_port(port)
        return started[-1], port

    yield start
    for process in started:
        process.stop()


def sweep() -> None:
    """Do what the next sweep does: join what was told before its sale."""
    while waiting_reversals.attach_refunds() + waiting_reversals.attach_disputes():
        pass
    ledger.mature()


def test_any_number_of_events_in_any_order_comes_to_the_same_end(
    serve: Callable[..., tuple[Proc, int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    distinct, times, senders, workers = SCALES[connection.vendor]
    story = tell_story(EVENTS_MEASURED or distinct, seed=4)
    bodies = [json.dumps(event) for event in story.events for _ in range(times)]
    random.Random(4).shuffle(bodies)
    web, port = serve("maaledu.wsgi", workers)
    rate, statuses, seconds = deliver_all(port, WEBHOOK, bodies, senders, tmp_path)
    assert statuses == {"200": len(bodies)}
    sweep()
    assert_end(story)
    assert invariants.verify() == []
    assert leaks_in(web.output()) == []
    web.stop()
    if EVENTS_MEASURED:
        bare = bare_rate(serve, workers, senders, tmp_path)
        with capsys.disabled():
            report(rate, bare, seconds, len(bodies))


def assert_end(story: Story) -> None:
    """Every sale, every balance and the ledger as a whole say what the model says, to the cent."""
    nets = dict(Commission.objects.values_list("enrollment_id", "amount"))
    reversed_amounts = dict(Commission.objects.values_list("enrollment_id", "reversed"))
    assert {key: nets[key] - reversed_amounts[key] for key in nets} == {
        key: sale.left for key, sale in story.sales.items()
    }
    booked = LedgerEntry.objects.order_by().values("enrollment_id").annotate(total=Sum("amount"))
    assert {row["enrollment_id"]: row["total"] for row in booked} == {
        key: sale.left for key, sale in story.sales.items()
    }
    ended = set(Enrollment.objects.filter(status=Enrollment.REFUNDED).values_list("pk", flat=True))
    assert ended == {key for key, sale in story.sales.items() if sale.is_reversed}
    assert Enrollment.objects.filter(status=Enrollment.PAID).count() == len(story.sales) - len(
        ended
    )
    due: Counter[Any] = Counter()
    held: Counter[Any] = Counter()
    for key, sale in story.sales.items():
        due[story.owners[key]] += sale.left
        held[story.owners[key]] += sale.held
    assert {b.affiliate_id: (b.pending + b.payable, b.held) for b in Balance.objects.all()} == {
        k: (due[k], held[k]) for k in due
    }
    assert StripeEvent.objects.count() == len(story.events)


def bare_rate(
    serve: Callable[..., tuple[Proc, int]], workers: int, senders: int, directory: Path
) -> float:
    """Return how many deliveries a second the bare view takes, on a table that is made and dropped
    for it.
    """
    with connection.schema_editor() as editor:
        editor.execute(BARE_TABLE)
    try:
        _, port = serve("bench.bare.wsgi", workers, DJANGO_SETTINGS_MODULE="bench.bare.settings")
        bodies = [
            json.dumps(event_of({"filler": "x" * 1500, "number": number}))
            for number in range(BARE_DELIVERIES)
        ]
        rate, statuses, _ = deliver_all(port, "/write/", bodies, senders, directory)
        assert statuses == {"200": len(bodies)}
        return rate
    finally:
        with connection.schema_editor() as editor:
            editor.execute("DROP TABLE bare_message")


BARE_TABLE = (
    "CREATE TABLE bare_message (id bigserial PRIMARY KEY, event_id varchar(100) UNIQUE, body jsonb,"
    " created_at timestamptz)"
)


def report(rate: float, bare: float, seconds: list[float], deliveries: int) -> None:
    p50, p99 = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
    text = (
        f"{deliveries} deliveries, {rate:.0f}/s; p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms"
    )
    goal = "" if rate >= GOAL_PER_SECOND else f" (below {GOAL_PER_SECOND}/s on this machine)"
    sys.stderr.write(
        f"\n{connection.vendor}: {text}; bare HMAC and INSERT {bare:.0f}/s, so {rate / bare:.0%} of"
        f" it{goal}\n"
    )

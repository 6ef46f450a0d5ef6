"""Purchases end to end through real processes, of which any may be killed at any moment: nothing is
lost, nothing doubled.
"""

import json
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from django.db import connection, connections, transaction

from lms_sync.models import SyncJob
from payments.models import Payment, StripeEvent
from tests.faults import Faults
from tests.processes import free_port
from tests.sandbox_client import Sandbox, wait_until
from tests.system.books import AT_MOST_TWICE, assert_bought_once, let_time_pass, wait_settled
from tests.system.shop import APPLICATION_NAME, SLUG, CeleryShop, Shop, learners, struck, timed

pytestmark = [pytest.mark.django_db, pytest.mark.engines("sqlite", "postgres")]
celery_only = pytest.mark.engines("postgres")
embedded_only = pytest.mark.engines("sqlite")
ENROLL = "POST /api/resource/LMS Enrollment"
CREATE_SESSION = "POST /v1/checkout/sessions"
RECOVERY_SECONDS = 45
ADA, BOB = "ada@example.com", "bob@example.com"


def test_a_purchase_reaches_the_lms_within_three_seconds(shop: Shop, sandbox: Sandbox) -> None:
    """R094. In one of three rounds at least: beside other work one may be slower."""
    rounds: list[float] = []
    while len(rounds) < 3 and not any(p95 < 3 for p95 in rounds):
        rounds.append(p95_of_twenty_purchases(shop, sandbox, 20 * len(rounds)))
    assert rounds[-1] < 3, rounds


def p95_of_twenty_purchases(shop: Shop, sandbox: Sandbox, before: int) -> float:
    emails = learners(before + 20)[before:]
    for email in emails:
        shop.buy(email)
        time.sleep(0.1)
    wait_settled(sandbox, before + 20, 20)
    assert_bought_once(sandbox, learners(before + 20))
    seconds = sorted(seconds_to_lms(sandbox, emails))
    print(
        f"\nwebhook to LMS: median {statistics.median(seconds):.2f} s, p95 {seconds[18]:.2f} s,"
        f" longest {seconds[-1]:.2f} s"
    )
    return seconds[18]


def seconds_to_lms(sandbox: Sandbox, emails: list[str]) -> list[float]:
    """Return for each learner the time from the sending of the webhook to the LMS's answer to the
    enrollment.
    """
    state = sandbox.state("events", "deliveries")
    buyers = {
        e["id"]: e["data"]["object"]["customer_email"]
        for e in state["events"]
        if e["type"] == "checkout.session.completed"
    }
    sent = {
        buyers[d["event"]]: d["at"] - d["ms"] / 1000
        for d in state["deliveries"]
        if d["event"] in buyers
    }
    enrolled = {
        json.loads(call["body"])["member"]: call["at"] for call in sandbox.calls("lms", ENROLL)
    }
    return [enrolled[email] - sent[email] for email in emails]


# --- the worker -----------------------------------------------------------------------------------


# What the LMS did with the call is its own affair, and no database's.
HANGS = pytest.param("hang", 0, marks=embedded_only)


@pytest.mark.parametrize(("mode", "carried_out"), [("slow", 1), HANGS])
def test_a_worker_killed_in_the_middle_of_an_lms_call_enrolls_once(
    shop: Shop, sandbox: Sandbox, mode: str, carried_out: int
) -> None:
    """The LMS may carry out what the dead worker asked for, or never get to it: the next one finds
    out which.
    """
    with struck(sandbox, "lms", mode, ENROLL, seconds=0.9, times=1) as under_way:
        shop.buy(ADA)
        under_way()
        shop.worker.kill()
    time.sleep(1)  # until the LMS is done with what it was asked
    job = SyncJob.objects.get()
    assert (job.status, len(sandbox.enrollments())) == ("running", carried_out)
    shop.start_worker()
    wait_settled(sandbox, 1, RECOVERY_SECONDS)
    assert_bought_once(sandbox, [ADA])
    job.refresh_from_db()
    assert job.lapses == 1


@embedded_only
def test_a_worker_killed_between_payment_and_enrollment_in_the_lms_makes_one_of_each(
    shop: Shop, sandbox: Sandbox
) -> None:
    """L11: LMS 2.50 has made the payment that its paid course needs, and nobody heard of it."""
    sandbox.lms(server="D", courses=[{"name": SLUG, "paid_course": 1, "course_price": 49}])
    shop.buy(BOB)  # whose address and source are there from now on
    wait_settled(sandbox, 1, RECOVERY_SECONDS)
    payment = "POST /api/resource/LMS Payment"
    with struck(sandbox, "lms", "hang_after", payment, seconds=0.9, times=1) as under_way:
        shop.buy(ADA)
        under_way()
        shop.worker.kill()
    time.sleep(1)
    assert (len(sandbox.book("lms_payments")), len(sandbox.enrollments())) == (
        2,
        1,
    )
    shop.start_worker()
    wait_settled(sandbox, 2, RECOVERY_SECONDS)
    assert_bought_once(sandbox, [ADA, BOB])
    assert sorted(row["member"] for row in sandbox.book("lms_payments")) == [
        ADA,
        BOB,
    ]


@embedded_only
def test_a_worker_killed_after_the_mail_was_accepted_sends_it_twice_and_alike(
    shop: Shop, sandbox: Sandbox
) -> None:
    """The one place where twice is right: between the mail server's "250" and our commit, nobody
    knows that it went out.
    """
    with struck(sandbox, "smtp", "slow", seconds=0.9, times=1) as at_the_mail_server:
        shop.buy(ADA)
        at_the_mail_server()
    with nobody_can_write():
        wait_until(lambda: len(sandbox.mails(ADA)) == 1)
        shop.worker.kill()
    shop.start_worker()
    wait_settled(sandbox, 1, RECOVERY_SECONDS)
    assert_bought_once(sandbox, [ADA], mails=(2,))


@contextmanager
def nobody_can_write() -> Iterator[None]:
    """Hold SQLite's one write lock, which every process needs to settle an e-mail."""
    with transaction.atomic():
        yield


def test_a_worker_that_is_told_to_stop_finishes_what_it_is_doing(
    shop: Shop, sandbox: Sandbox
) -> None:
    with struck(sandbox, "lms", "slow", ENROLL, seconds=0.9, times=1) as under_way:
        shop.buy(ADA)
        under_way()
        shop.worker.signal_main(signal.SIGTERM)
        assert shop.worker.wait_end(20) == 0
    job = SyncJob.objects.get()
    assert (job.status, job.lapses, job.fence) == ("done", 0, 1)
    shop.start_worker()
    wait_settled(sandbox, 1, RECOVERY_SECONDS)
    assert_bought_once(sandbox, [ADA])


# --- the web server -------------------------------------------------------------------------------


@embedded_only
def test_a_web_server_killed_between_stripes_answer_and_ours_leaves_one_session(
    shop: Shop, sandbox: Sandbox
) -> None:
    with (
        struck(
            sandbox, "stripe", "hang_after", CREATE_SESSION, seconds=1, times=1
        ) as session_is_made,
        ThreadPoolExecutor(1) as buyer,
    ):
        lost = buyer.submit(shop.post_form, ADA)
        session_is_made()
        wait_until(lambda: len(sandbox.sessions()) == 1)
        shop.web.kill()
        assert isinstance(lost.exception(), requests.ConnectionError)
    assert Payment.objects.get().stripe_session_id is None
    shop.restart_web()
    time.sleep(1)  # until Stripe is done with the first request
    shop.buy(ADA)
    wait_settled(sandbox, 1, RECOVERY_SECONDS)
    assert len(sandbox.sessions()) == 1
    assert_bought_once(sandbox, [ADA])


@embedded_only
def test_a_payment_for_a_session_we_never_stored_is_received(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.fault("stripe", "hang_after", CREATE_SESSION, seconds=1, times=1)
    with ThreadPoolExecutor(1) as buyer:
        buyer.submit(shop.post_form, ADA)
        session = wait_until(sandbox.sessions)[0]
        shop.web.kill()
    shop.restart_web()
    sandbox.pay(session["id"])
    wait_settled(sandbox, 1, RECOVERY_SECONDS)
    assert shop.post_form(ADA).status_code == 409
    assert_bought_once(sandbox, [ADA])


@celery_only  # where there is a second process that serves meanwhile
def test_a_web_server_killed_within_a_webhook_is_sent_it_again(
    shop: Shop, sandbox: Sandbox, tmp_path: Path
) -> None:
    """gunicorn replaces the process that died; Stripe, which heard nothing, sends the event
    again.
    """
    faults = Faults(tmp_path)
    shop.restart_web(**faults.environment)
    emails = learners(3)
    # the first write, one in the middle, the commit
    for at, email in zip((1, 4, 6), emails, strict=True):
        session = shop.check_out(email)
        faults.arm(at)
        sandbox.pay(session)
        wait_until(
            lambda: StripeEvent.objects.filter(session_id=session, status="done").exists(),  # noqa: B023
            20,
        )
        assert faults.has_cut
        faults.disarm()
    wait_settled(sandbox, len(emails), RECOVERY_SECONDS)
    assert_bought_once(sandbox, emails)
    assert [d["status"] for d in sandbox.book("deliveries") if d["attempt"] == 1] == [0, 0, 0]


# --- the database ---------------------------------------------------------------------------------


@celery_only
def test_a_database_that_drops_every_connection_stops_nothing_for_good(
    shop: Shop, sandbox: Sandbox
) -> None:
    emails = learners(20)
    sessions = [shop.check_out(email) for email in emails]
    with every(0.4, drop_connections):
        for session in sessions:
            sandbox.pay(session)
            time.sleep(0.1)
    wait_until(lambda: StripeEvent.objects.count() == 20, 20)
    let_time_pass()
    wait_settled(sandbox, 20, RECOVERY_SECONDS)
    assert_bought_once(sandbox, emails, mails=AT_MOST_TWICE)
    assert shop.web.running
    assert shop.worker.running


def drop_connections() -> None:
    """End every connection of the shop's processes, as a restart of the database server does."""
    with connection.cursor() as cursor:
        shop = "datname = current_database() AND application_name = %s"
        cursor.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {shop}",
            [APPLICATION_NAME],
        )


@contextmanager
def every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Do something again and again, in a thread of its own, until the block ends."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(seconds):
            act()
        connections.close_all()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


# --- the broker -----------------------------------------------------------------------------------


@contextmanager
def silent_server() -> Iterator[int]:
    """Listen on a port, and never answer."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        yield listening.getsockname()[1]


def webhook_seconds(sandbox: Sandbox) -> list[float]:
    return [delivery["ms"] / 1000 for delivery in sandbox.book("deliveries")]


@celery_only
@pytest.mark.parametrize("how", ["hangs", "refuses"])
def test_a_broker_that_is_gone_holds_up_no_request_and_loses_nothing(
    shop: Shop, sandbox: Sandbox, how: str
) -> None:
    """Only the web server has lost it: what it cannot ring for is found by the workers' own
    looking. A webhook that waited for the broker would take its 2 s; the first one of a server that
    has just started is slower than the others.
    """
    shop.buy(ADA)
    usual = max(webhook_seconds(sandbox))
    with silent_server() as silent:
        broker = f"redis://127.0.0.1:{silent if how == 'hangs' else free_port()}/0"
        shop.restart_web(REDIS_URL=broker, CELERY_BROKER_URL=broker)
        checkouts = [timed(lambda: shop.buy(BOB)), timed(lambda: shop.buy("cy@example.com"))]
        wait_settled(sandbox, 3, 20)
    assert_bought_once(sandbox, [ADA, BOB, "cy@example.com"])
    assert max(webhook_seconds(sandbox)) < 1.5
    assert min(webhook_seconds(sandbox)[1:]) < usual + 0.5
    assert min(checkouts) < 3
    print(
        f"\nbroker {how}: webhook {max(webhook_seconds(sandbox)):.3f} s (usual {usual:.3f} s),"
        f" checkouts {checkouts}"
    )


@celery_only
def test_a_broker_that_forgets_everything_loses_nothing(shop: Shop, sandbox: Sandbox) -> None:
    emails = learners(20)
    assert isinstance(shop, CeleryShop)
    with every(0.3, shop.flush_redis):
        shop.buy_all(emails)
        wait_settled(sandbox, 20, 30)
    assert_bought_once(sandbox, emails)


@celery_only
def test_a_broker_that_is_killed_and_comes_back_empty_loses_nothing(
    shop: Shop, sandbox: Sandbox
) -> None:
    assert isinstance(shop, CeleryShop)
    shop.redis.kill()
    emails = learners(5)
    shop.buy_all(emails)
    assert len(sandbox.enrollments()) == 0
    shop.start_redis()
    wait_settled(sandbox, 5, RECOVERY_SECONDS)
    assert_bought_once(sandbox, emails)


# --- Celery's other processes ---------------------------------------------------------------------


@celery_only
def test_two_beats_do_no_harm_and_a_killed_one_is_made_up_for(shop: Shop, sandbox: Sandbox) -> None:
    assert isinstance(shop, CeleryShop)
    first = shop.beat
    shop.start_beat().wait_line("maxinterval")
    emails = learners(10)
    shop.buy_all(emails[:5])
    wait_settled(sandbox, 5, 20)
    for beat in (first, shop.beat):
        beat.kill()
    shop.buy_all(emails[5:])
    shop.start_beat()
    wait_settled(sandbox, 10, RECOVERY_SECONDS)
    assert_bought_once(sandbox, emails)
    assert len(sandbox.calls("lms", ENROLL)) == 10


@celery_only
def test_a_killed_child_of_the_worker_is_replaced_and_its_job_done_again(
    shop: Shop, sandbox: Sandbox
) -> None:
    with struck(sandbox, "lms", "slow", ENROLL, seconds=0.9, times=1) as under_way:
        shop.buy(ADA)
        under_way()
        for child in shop.worker.children():
            os.kill(child, signal.SIGKILL)
    wait_settled(sandbox, 1, RECOVERY_SECONDS)
    assert_bought_once(sandbox, [ADA])
    assert shop.worker.running

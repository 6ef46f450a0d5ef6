"""The sandbox as a process: start, refusals, what survives it, and its control page."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import stripe

from tests.sandbox_client import ROOT, STRIPE_KEY, Sandbox, wait_until

pytestmark = [pytest.mark.no_database, pytest.mark.slow]


def run(*arguments, **environment):
    """Run the command to its end; it must not serve."""
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize("name", ["production", "Production "])
def test_refuses_to_start_in_production(name):
    done = run("--port", "0", "--smtp-port", "0", MAALEDU_ENV=name)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "does not run in production" in done.stderr


def test_a_taken_port_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--port", str(taken.getsockname()[1]), "--smtp-port", "0", MAALEDU_ENV="")
    assert done.returncode == 2
    assert "cannot listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_unknown_server_is_refused():
    assert run("--lms-server", "Z", MAALEDU_ENV="").returncode == 2


def test_needs_neither_django_nor_stripe_nor_our_apps():
    script = (
        "import sys; import sandbox.__main__; wrong = [name for name in sys.modules if"
        " name.split('.')[0] in {'django', 'stripe', 'maaledu', 'accounts', 'courses',"
        " 'enrollments', 'lms_sync', 'notifications', 'checkout'}]; print(wrong)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_environment_sets_what_flags_do_not(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sandbox",
        "--port",
        "0",
        "--smtp-port",
        "0",
        "--exit-with-parent",
    ]
    environment = {
        **os.environ,
        "SANDBOX_STRIPE_KEY": "sk_test_mine",
        "SANDBOX_LMS_SERVER": "B",
        "SANDBOX_COURSES_ANY": "1",
    }
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        url = "http://127.0.0.1:" + process.stdout.readline().split()[2].removeprefix("http=")
        assert (
            requests.get(
                f"{url}/v1/balance", headers={"Authorization": "Bearer sk_test_mine"}, timeout=5
            ).status_code
            == 200
        )
        lms = requests.get(f"{url}/control/state", timeout=5).json()["lms"]
        assert (lms["server"], lms["courses_any"]) == ("B", True)
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()


def use(sandbox):
    """Leave a trace in every part of the book; return the session's id."""
    client = stripe.StripeClient(
        STRIPE_KEY, base_addresses={"api": sandbox.stripe_url}, http_client=stripe.RequestsClient()
    )
    item = {
        "quantity": 1,
        "price_data": {"currency": "usd", "unit_amount": 4900, "product_data": {"name": "Course"}},
    }
    order = {"mode": "payment", "success_url": "https://shop.example/", "line_items": [item]}
    session = client.v1.checkout.sessions.create(order, {"idempotency_key": "once"})
    sandbox.lms(
        courses=[{"name": "c-1", "title": "C"}],
        users=[{"email": "lea@x.test", "first_name": "Lea"}],
        enrollments=[{"member": "lea@x.test", "course": "c-1"}],
    )
    sandbox.pay(session.id, "delayed_success", delay=0.5)
    sandbox.call(
        "POST", "/control/mail", {"raw": "Subject: kept\r\n\r\nhello", "to": ["lea@x.test"]}
    )
    return session.id


@pytest.mark.parametrize("kill", [False, True])
def test_the_book_survives_a_restart(tmp_path, kill):
    sandbox = Sandbox(state=tmp_path / "book.json").start()
    try:
        session_id = use(sandbox)
        if kill:
            time.sleep(1.0)
        before = sandbox.state()
        sandbox.stop(kill=kill)
        sandbox.start()
        after = sandbox.state()
        for name in ("payment_intents", "users", "courses", "enrollments", "mails"):
            assert [
                item.get("id") or item.get("name") or item["number"] for item in after[name]
            ] == [item.get("id") or item.get("name") or item["number"] for item in before[name]]
        assert after["sessions"][0]["id"] == session_id
        wait_until(lambda: sandbox.sessions()[0]["payment_status"] == "paid")
        assert len(sandbox.enrollments("lea@x.test")) == 1
        answer = requests.post(
            f"{sandbox.stripe_url}/v1/checkout/sessions",
            data="mode=payment",
            headers={"Authorization": f"Bearer {STRIPE_KEY}", "Idempotency-Key": "once"},
            timeout=5,
        )
        assert answer.json()["error"]["type"] == "idempotency_error"
        assert not list(tmp_path.glob("book.json?*"))
    finally:
        sandbox.stop()


def test_undelivered_webhooks_are_sent_after_a_restart(tmp_path, endpoint):
    sandbox = Sandbox(
        state=tmp_path / "book.json", webhook_url="http://127.0.0.1:9/hook", webhook_retry_base=0.1
    ).start()
    try:
        session_id = use(sandbox)
        sandbox.stop()
        sandbox.options["webhook_url"] = endpoint.url
        sandbox.start()
        wait_until(
            lambda: (
                {"checkout.session.completed", "checkout.session.async_payment_succeeded"}
                == set(endpoint.types)
            )
        )
        assert sandbox.sessions()[0]["id"] == session_id
    finally:
        sandbox.stop()


def test_refunds_and_disputes_survive_a_restart(tmp_path):
    sandbox = Sandbox(state=tmp_path / "book.json", refund_status="pending").start()
    try:
        use(sandbox)
        wait_until(lambda: sandbox.sessions()[0]["payment_status"] == "paid")
        intent = sandbox.sessions()[0]["payment_intent"]
        refund = sandbox.refund_in_dashboard(intent, 900)
        dispute = sandbox.dispute(intent)
        sandbox.stop()
        sandbox.start()
        state = sandbox.state()
        assert (state["refunds"], state["disputes"]) == ([refund], [dispute])
        assert state["charges"][0]["disputed"] is True
        assert sandbox.settle_refund(refund["id"])["status"] == "succeeded"
        assert sandbox.close_dispute(dispute["id"], "won")["status"] == "won"
    finally:
        sandbox.stop()


def test_courses_can_come_from_a_file(tmp_path):
    (tmp_path / "courses.json").write_text(
        '[{"name": "course-v1:Org+Code+2026", "title": "From file"}]'
    )
    with Sandbox(courses_file=tmp_path / "courses.json") as sandbox:
        assert [course["title"] for course in sandbox.book("courses")] == ["From file"]


def test_ends_with_the_process_that_started_it():
    script = (
        "import subprocess, sys; command = '-m sandbox --port 0 --smtp-port 0"
        " --exit-with-parent'.split(); p = subprocess.Popen([sys.executable, *command],"
        " stdout=subprocess.PIPE, text=True); p.stdout.readline(); print(p.pid, flush=True)"
    )
    pid = int(
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    )

    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    try:
        wait_until(gone, seconds=8)
    finally:
        if not gone():
            os.kill(pid, signal.SIGTERM)


def test_pages_answer(sandbox):
    for path, text in (
        ("/", "The sandbox"),
        ("/control/", "Nothing is broken."),
        ("/mail/", "No mail yet"),
        ("/lms/courses/", "No course yet"),
    ):
        answer = requests.get(sandbox.url + path, timeout=5)
        assert answer.status_code == 200
        assert text in answer.text
    assert requests.get(f"{sandbox.url}/nothing", timeout=5).status_code == 404


def test_the_control_page_switches(sandbox):
    switch = f"{sandbox.url}/control/switch"
    page = requests.post(
        switch,
        data={
            "action": "fault",
            "target": "lms",
            "mode": "maintenance",
            "match": "",
            "times": "2",
            "seconds": "",
            "retry_after": "",
        },
        timeout=5,
    )
    assert page.status_code == 200
    assert "maintenance" in page.text
    assert [
        (fault["target"], fault["mode"], fault["times"]) for fault in sandbox.book("faults")
    ] == [("lms", "maintenance", 2)]
    requests.post(switch, data={"action": "clear"}, timeout=5)
    assert sandbox.book("faults") == []
    requests.post(switch, data={"action": "lms", "server": "B"}, timeout=5)
    assert sandbox.book("lms")["server"] == "B"
    requests.post(
        switch,
        data={
            "action": "webhooks",
            "duplicates": "3",
            "delay": "0",
            "async_delay": "0.2",
            "hold": "on",
        },
        timeout=5,
    )
    assert (sandbox.webhooks()["duplicates"], sandbox.webhooks()["hold"]) == (3, True)
    wrong = requests.post(
        switch, data={"action": "fault", "target": "lms", "mode": "explode"}, timeout=5
    )
    assert wrong.status_code == 400
    assert "mode must be one of" in wrong.text


def test_wrong_control_calls_are_refused(sandbox):
    for method, path, data, status in (
        ("POST", "/control/nothing", {}, 404),
        ("POST", "/control/stripe/sessions/cs_none/pay", {}, 404),
        ("POST", "/control/stripe/events/evt_none/deliver", {}, 404),
        ("POST", "/control/faults", [], 400),
        ("POST", "/control/clock", {"advance": "soon"}, 400),
    ):
        assert (
            requests.request(method, sandbox.url + path, json=data, timeout=5).status_code == status
        )


def test_reset_forgets_everything_but_what_is_kept(sandbox):
    sandbox.lms(
        server="B",
        courses=[{"name": "c-1", "title": "C"}],
        users=[{"email": "a@x.test", "first_name": "A"}],
    )
    sandbox.fault("lms", "down")
    sandbox.reset(keep="courses")
    state = sandbox.state()
    assert [course["name"] for course in state["courses"]] == ["c-1"]
    assert (state["users"], state["faults"], state["lms"]["server"]) == ([], [], "A")
    sandbox.reset()
    assert sandbox.book("courses") == []

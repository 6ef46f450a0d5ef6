"""Runs one step of the shop in a process of its own, which may be cut off at any write: `python -m
tests.system.drive`.

The product is loaded once; each line of JSON on the standard input is answered by one line on the
standard output, and the step itself runs in a forked process, or several at once, that share no
connection and really die of their SIGKILL. With `--stay` it runs in this very process, as in one
that has been serving for long.
"""

import gc
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import product
from typing import Any

import django
from django.apps import apps
from django.core.management import call_command
from django.db import connection, connections
from django.template.loader import get_template
from django.test import Client
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.module_loading import import_string

HOST = "127.0.0.1"
MAILS = ("purchase_confirmation", "staff_alert")
# What the product or a library loads only where it is first needed.
LOADED_LATE = (
    "django.core.mail.backends.smtp",
    "encodings.unicode_escape",
    "netrc",
    "operations.management.commands.run_due_work",
    "stripe.checkout._session_service",
    "stripe._checkout_service",
)
browser = Client(raise_request_exception=False)


def checkout(slug: str, email: str, coupon: str = "") -> dict[str, Any]:
    """Post the checkout form, as a buyer's browser does."""
    answer = _post_form(browser, slug, email, coupon)
    return {"status": answer.status_code, "location": answer.get("Location", "")}


def _post_form(visitor: Client, slug: str, email: str, coupon: str) -> Any:
    form = {"email": email, "name": "Ada Lovelace", "accept_terms": "on", "coupon": coupon}
    return visitor.post(f"/checkout/{slug}/", form, SERVER_NAME=HOST)


def checkouts(slug: str, email: str, coupon: str, visitors: int) -> dict[str, Any]:
    """Post the same form from so many browsers at once."""
    browsers = [Client(raise_request_exception=False) for _ in range(visitors)]
    for each in browsers:
        each.get("/health/live", SERVER_NAME=HOST)
    return _at_once(
        visitors, lambda number: _post_form(browsers[number], slug, email, coupon).status_code
    )


def naive_redemptions(coupon: str, visitors: int) -> dict[str, Any]:
    """Redeem as nobody should, which the tests of races must notice: look whether the coupon is
    good, then use it.
    """
    grants = apps.get_model("grants", "Grant").objects

    def redeem(_: int) -> int:
        if grants.get(code=coupon).status != "approved":
            return 409
        return 302 if grants.filter(code=coupon).update(status="redeemed") else 409

    return _at_once(visitors, redeem)


def _at_once(count: int, step: Callable[[int], int]) -> dict[str, Any]:
    """Run the step in so many threads, which begin at the same moment, and return the status of
    each.
    """
    barrier = threading.Barrier(count)

    def run(number: int) -> int:
        barrier.wait(60)
        try:
            return step(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as pool:
        return {"statuses": list(pool.map(run, range(count)))}


def webhook(body: str, signature: str) -> dict[str, Any]:
    """Post one event, as Stripe does."""
    headers = {"Stripe-Signature": signature}
    answer = browser.post(
        "/api/webhook",
        data=body,
        content_type="application/json",
        headers=headers,
        SERVER_NAME=HOST,
    )
    return {"status": answer.status_code}


def worker() -> dict[str, Any]:
    """Run whatever is due, as cron does."""
    return command(["run_due_work"])


def refund(payment_intent: str, amount: int) -> dict[str, Any]:
    """Ask for a refund, as staff do in the office."""
    requests = import_string("payments.refund_requests")
    payment = apps.get_model("payments", "Payment").objects.get(
        stripe_payment_intent_id=payment_intent
    )
    wanted = requests.Request(amount, "requested_by_customer", by="staff@example.com")
    requests.request(payment, wanted)
    return {"status": 0}


def move(enrollment: str, to: str, reason: str) -> dict[str, Any]:
    """Move an enrollment to another address, as staff do in the office."""
    row = apps.get_model("enrollments", "Enrollment").objects.get(pk=enrollment)
    import_string("enrollments.moving").move(row, by="staff@example.com", to=to, reason=reason)
    return {"status": 0}


def provision() -> dict[str, Any]:
    """Give access to whoever waits for it, and send the e-mails, as a worker does."""
    drain = import_string("maaledu.work.queue.drain")
    drain(import_string("enrollments.provisioning.LMS_JOBS"))
    drain(import_string("notifications.queue.EMAILS"))
    return {"status": 0}


def command(arguments: list[str]) -> dict[str, Any]:
    """Run one of manage.py's commands."""
    call_command(*arguments, stdout=sys.stderr)
    return {"status": 0}


STEPS = {
    step.__name__: step
    for step in (
        checkout,
        checkouts,
        naive_redemptions,
        webhook,
        worker,
        refund,
        move,
        provision,
        command,
    )
}


def main() -> None:
    django.setup()
    _warm_up()
    gc.collect()
    gc.freeze()
    print("DRIVER READY", flush=True)
    run = _in_this_process if "--stay" in sys.argv else _in_processes_of_their_own
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


def _warm_up() -> None:
    """Load what the steps need, so that each process need not; no database and no other server is
    asked.
    """
    browser.get("/health/live", SERVER_NAME=HOST)
    for name in ("payments.gateway.client", "lms_sync.platforms.client.session"):
        import_string(name)()
    import_string("accounts.emails.normalize_email")("ada@example.com")
    for name, ending in product(MAILS, ("subject.txt", "txt", "html")):
        get_template(f"email/{name}.{ending}")
    for name in ("health_live", "admin:index"):  # the first question for an address reads them all
        reverse(name)
    number_format(1)
    connection.ops.compiler("SQLCompiler")
    pooling = ("psycopg_pool",) if connection.vendor == "postgresql" else ()
    for name in (*LOADED_LATE, *pooling):
        import_module(name)


def _in_processes_of_their_own(order: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the step in as many processes as were ordered, which all begin at the same moment."""
    gate, gun = os.pipe()
    children = [_fork(order, gate, gun) for _ in range(order["copies"])]
    os.close(gate)
    os.close(gun)
    return [_answer_of(child, answers) for child, answers in children]


def _fork(order: dict[str, Any], gate: int, gun: int) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os.close(gun)
        os.read(gate, 1)  # ends when the last end of the gun is closed
        _run(order, writing)
    os.close(writing)
    return child, reading


def _answer_of(child: int, answers: int) -> dict[str, Any]:
    with os.fdopen(answers) as reading:
        answer = reading.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"exit": code, **(json.loads(answer) if answer else {})}


def _run(order: dict[str, Any], writing: int) -> None:
    """Run the step and tell how it went; never returns. With `mute` it dies before it can tell
    anybody.
    """
    told = _done(order)
    if order["mute"]:
        os.kill(os.getpid(), signal.SIGKILL)
    os.write(writing, json.dumps(told).encode())
    sys.stderr.flush()
    os._exit(0)


def _in_this_process(order: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"exit": 0, **_done(order)}]


def _done(order: dict[str, Any]) -> dict[str, Any]:
    try:
        return STEPS[order["step"]](**order["arguments"])
    except Exception as error:  # noqa: BLE001 whatever it is, the test is told
        traceback.print_exc()
        return {"raised": type(error).__name__}


if __name__ == "__main__":
    main()

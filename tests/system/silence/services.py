"""Faults of Stripe and of the learning platform, and of what lies between them and the shop."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes import free_port
from tests.sandbox_client import LMS_KEY, STRIPE_KEY, WEBHOOK_SECRET
from tests.system.silence.fault import Fault
from tests.system.silence.mail import sandbox_fault
from tests.system.silence.stage import Stage
from tests.system.silence.tls import tls_in_front


@contextmanager
def webhook_deaf(stage: Stage) -> Iterator[None]:
    stage.sandbox.webhooks(url=f"http://127.0.0.1:{free_port()}/api/webhook")
    yield
    stage.sandbox.webhooks(url=f"{stage.url}/api/webhook")


@contextmanager
def webhook_disabled(stage: Stage) -> Iterator[None]:
    stage.sandbox.webhooks(status="disabled")
    yield
    stage.sandbox.webhooks(status="enabled")
    # Stripe does not deliver later what nobody listened to.
    stage.manage("reconcile_stripe")


@contextmanager
def webhook_secret_wrong(stage: Stage) -> Iterator[None]:
    stage.sandbox.webhooks(secret="whsec_rolled_at_stripe")
    yield
    stage.sandbox.webhooks(secret=WEBHOOK_SECRET)


@contextmanager
def clock_wrong(stage: Stage) -> Iterator[None]:
    stage.sandbox.set_clock_ahead(-600)
    yield
    stage.sandbox.set_clock_ahead(0)


@contextmanager
def stripe_key_revoked(stage: Stage) -> Iterator[None]:
    stage.sandbox.key(STRIPE_KEY, expired=True)
    yield
    stage.sandbox.key(STRIPE_KEY)


@contextmanager
def lms_key_refused(stage: Stage) -> Iterator[None]:
    stage.sandbox.lms(key="another-key:another-secret")
    yield
    stage.sandbox.lms(key=LMS_KEY)


@contextmanager
def certificate_expired(stage: Stage) -> Iterator[None]:
    front = stage.at_end.enter_context(
        tls_in_front(stage.sandbox.http_port, stage.directory / "tls")
    )
    stage.env |= {
        "FRAPPE_LMS_BASE_URL": f"https://localhost:{front.port}/lms",
        "TEST_AUTHORITY": str(front.authority),
    }
    stage.restart_worker()
    stage.restart_web()
    stage.minute()
    assert stage.is_green()
    front.show_certificate(days=-1)
    yield
    front.show_certificate(days=365)


DEAF = "Stripe's events do not arrive"
STRIPE = "Stripe does not answer as it should"
AWAY = "The learning platform Frappe LMS is unavailable"
WRONG = "The learning platform Frappe LMS is misconfigured"
FAULTS = [
    Fault(
        "nothing answers at the webhook's address",
        webhook_deaf,
        alert=f"Now red: {DEAF}",
        ends=f"Recovered: {DEAF}",
    ),
    Fault(
        "Stripe has disabled the webhook endpoint",
        webhook_disabled,
        alert=f"Now red: {DEAF}",
        ends=f"Recovered: {DEAF}",
    ),
    Fault(
        "the webhook's secret is another one",
        webhook_secret_wrong,
        alert="Stripe's events are refused: the signing secret is wrong",
    ),
    Fault(
        "our clock is ten minutes ahead",
        clock_wrong,
        alert="Stripe's events are refused: the clock of this server is wrong",
    ),
    Fault(
        "Stripe's key is revoked",
        stripe_key_revoked,
        alert=f"Now red: {STRIPE}",
        ends=f"Recovered: {STRIPE}",
    ),
    Fault(
        "Stripe is down",
        sandbox_fault("stripe", "503"),
        alert=f"Now red: {STRIPE}",
        ends=f"Recovered: {STRIPE}",
    ),
    Fault("the LMS refuses our key", lms_key_refused, alert=WRONG, ends=f"Recovered: {WRONG}"),
    Fault("the LMS is down", sandbox_fault("lms", "down"), alert=AWAY, ends=f"Recovered: {AWAY}"),
    Fault(
        "the LMS hangs",
        sandbox_fault("lms", "hang", seconds=3),
        alert=AWAY,
        ends=f"Recovered: {AWAY}",
    ),
    Fault(
        "the LMS is in maintenance",
        sandbox_fault("lms", "maintenance"),
        alert=AWAY,
        ends=f"Recovered: {AWAY}",
    ),
    Fault(
        "the LMS takes no changes",
        sandbox_fault("lms", "read_only"),
        alert=AWAY,
        ends=f"Recovered: {AWAY}",
    ),
    Fault(
        "one step of the LMS is down: making users",
        sandbox_fault("lms", "503", "POST /api/resource/User"),
        alert=AWAY,
        ends=f"Recovered: {AWAY}",
    ),
    Fault(
        "the LMS's certificate has expired",
        certificate_expired,
        alert=AWAY,
        ends=f"Recovered: {AWAY}",
    ),
]

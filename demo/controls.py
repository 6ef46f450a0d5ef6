"""What buyers, banks, the LMS and mail servers do in the demo: calls to the sandbox's controls."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import requests

from enrollments.batches import BATCHES
from enrollments.provisioning import LMS_JOBS
from maaledu.work.items import RUNNING
from maaledu.work.queue import drain
from notifications.queue import ALERTS, EMAILS
from payments import webhooks
from payments.models import StripeEvent
from payments.webhooks import EVENTS

TIMEOUT_SECONDS = 20
WORK_SECONDS, PAUSE_SECONDS = 20, 0.02
QUEUES = (EVENTS, BATCHES, LMS_JOBS, EMAILS, ALERTS)


@dataclass(frozen=True)
class Sandbox:
    """The sandbox at this address, without a slash at the end."""

    url: str

    def call(self, path: str, data: dict[str, Any], *, method: str = "POST") -> Any:
        """Return what the control call answers. Raises requests.RequestException."""
        url = f"{self.url}/control/{path}"
        answer = requests.request(method, url, json=data, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def pay(self, session_id: str, outcome: str = "paid") -> None:
        self.call(f"stripe/sessions/{session_id}/pay", {"outcome": outcome})

    def enroll(self, people: Sequence[tuple[str, str, str]]) -> list[str]:
        """Put learners into the LMS (e-mail, name and course of each); return the rows' names."""
        users = [{"email": email, "first_name": name} for email, name, _ in people]
        rows = [{"member": email, "course": course} for email, _, course in people]
        names: list[str] = self.call("lms", {"users": users, "enrollments": rows})["enrollments"]
        return names

    def set_progress(self, email: str, course: str, percent: int) -> None:
        self.call("lms", {"progress": {"email": email, "course": course, "percent": percent}})


def deliver(sandbox: Sandbox) -> None:
    """Receive what Stripe has to say that has not been delivered yet, and do all that is due.

    Not left to the shop's web process and worker, which may do the same meanwhile: each event and
    each job is done once all the same.
    """
    events = sandbox.call("state", {"only": "events"}, method="GET")["events"]
    ours = [event for event in events if event["type"] in webhooks.HANDLERS]
    known = StripeEvent.objects.filter(event_id__in=[event["id"] for event in ours])
    done = set(known.values_list("event_id", flat=True))
    for event in ours:
        if event["id"] not in done:
            webhooks.receive(event)
    ends_at = time.monotonic() + WORK_SECONDS
    while sum(map(drain, QUEUES)) or (_is_under_way() and time.monotonic() < ends_at):
        time.sleep(PAUSE_SECONDS)


def _is_under_way() -> bool:
    """Whether a worker beside this process has claimed something and is not done with it."""
    return any(queue.model.objects.filter(status=RUNNING).exists() for queue in QUEUES)

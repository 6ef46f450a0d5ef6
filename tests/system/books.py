"""What must be true when the dust has settled: our rows, Stripe's book, the LMS's and the mailbox
say the same.
"""

import time
from collections import Counter
from collections.abc import Collection

from django.utils import timezone

from enrollments.models import Enrollment
from lms_sync.models import DeadLetter, PlatformState, SyncJob, SyncLock
from maaledu.work.items import DONE, PENDING, RUNNING
from notifications.models import Email, MailState
from operations import heartbeats
from payments.models import Payment, StripeEvent
from tests.sandbox_client import Sandbox
from tests.state_machine import Verifier

QUEUES = (StripeEvent, SyncJob, Email)
ONCE, AT_MOST_TWICE = (1,), (1, 2)
_verifier = Verifier()


def broken_invariants() -> list[str]:
    """Return what does not hold of the invariants, whoever has written.

    Asked after each of hundreds of cuts: the statements are not made anew each time. The fixtures
    prove after each test that nothing was overlooked.
    """
    return _verifier.verify_written_elsewhere()


def assert_bought_once(
    sandbox: Sandbox,
    learners: Collection[str],
    *,
    mails: Collection[int] = ONCE,
    charged: bool = True,
) -> None:
    """Assert that exactly these learners, each once, have paid, are enrolled and were told, and
    that nothing is left over.

    `mails` are the numbers of confirmations that a learner may have received; `charged` is False
    where the place was free.
    """
    once = dict.fromkeys(learners, 1)
    given = SyncJob.objects.exclude(action=SyncJob.LOOK)
    payers = once if charged else {}
    state = sandbox.state("enrollments", "sessions", "mails")
    assert unfinished() == []
    assert broken_invariants() == []
    assert _counted(Enrollment.objects.live()) == once
    assert set(Enrollment.objects.live().values_list("status", "lms_status")) <= {
        ("paid", "success")
    }
    assert Counter(given.values_list("email", flat=True)) == once
    assert Counter(row["member"] for row in state["enrollments"]) == once
    assert (
        Counter(
            session["customer_email"]
            for session in state["sessions"]
            if session["payment_status"] == "paid"
        )
        == payers
    )
    assert Payment.objects.filter(status=Payment.PAID, review_reason="").count() == len(payers)
    assert _payable(state) <= Payment.objects.filter(status=Payment.PENDING).count()
    received = Counter(to for mail in state["mails"] for to in mail["to"] if to in once)
    assert set(received) == set(once), "somebody was not told"
    assert set(received.values()) <= set(mails), received
    assert _message_ids(state, once) == len(once)
    assert DeadLetter.objects.count() == 0


def _counted(enrollments) -> Counter:
    return Counter(enrollments.values_list("email", flat=True))


def _payable(state: dict) -> int:
    """Return at how many sessions a buyer could still pay."""
    return sum(session["status"] == "open" for session in state["sessions"])


def _message_ids(state: dict, learners: Collection[str]) -> int:
    """Return how many different messages there are: one that was sent twice has the same Message-ID
    both times.
    """
    return len({mail["message_id"] for mail in state["mails"] if set(mail["to"]) & set(learners)})


def unfinished() -> list[str]:
    """Return what is still to be done, in words for a failed test.

    A later look at what may be in the LMS twice is left for later.
    """
    return [
        f"{type(item).__name__} {item.pk} {item.status} attempts={item.attempts}"
        f" lapses={item.lapses} {item.last_error}"
        for model in QUEUES
        for item in model.objects.unfinished()
        if not (isinstance(item, SyncJob) and item.action == SyncJob.LOOK)
    ]


def wait_settled(sandbox: Sandbox, enrolled: int, seconds: float) -> None:
    """Wait until the LMS has this many enrollments, as many confirmations were sent, and no queue
    has anything left.
    """
    sent = Email.objects.filter(kind="purchase_confirmation", status=DONE)
    deadline = time.monotonic() + seconds
    while sent.count() < enrolled or len(sandbox.enrollments()) < enrolled or unfinished():
        if time.monotonic() > deadline:
            raise AssertionError(
                f"after {seconds} s {len(sandbox.enrollments())} of {enrolled} are enrolled; left"
                f" over: {unfinished()}"
            )
        time.sleep(0.05)


def note_that_all_parts_are_alive() -> None:
    """Write what processes that have been running wrote before the database was emptied, and write
    again after a while. Without it, staff are alerted that they are silent.
    """
    for part in (heartbeats.WORKER, heartbeats.SCHEDULER, heartbeats.WATCH, heartbeats.STRIPE):
        heartbeats.note(part)


def let_time_pass() -> None:
    """Make everything due that the passing of an hour would make due: retries, leases, locks and
    the breaker's next try.
    """
    now = timezone.now()
    for model in QUEUES:
        model.objects.filter(status=PENDING).update(next_attempt_at=now)
        model.objects.filter(status=RUNNING).update(lease_until=now)
    SyncLock.objects.update(until=now)
    PlatformState.objects.blocked().update(retry_at=now)
    MailState.objects.exclude(state=MailState.State.ANSWERING).update(retry_at=now)

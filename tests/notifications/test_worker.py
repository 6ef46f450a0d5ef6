"""A real worker, a real mail server that refuses us, and Slack, which hears of it."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django.fixtures import Settings

from notifications import mail_state, outgoing
from notifications.models import Email, MailState
from tests.notifications.recorder import recording
from tests.notifications.smtp import MailServer
from tests.notifications.test_delivery import running, stage
from tests.processes import Proc, python
from tests.sandbox_client import wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    yield from running(MailServer(), settings)


def test_staff_hear_of_a_full_quota_at_once_and_all_mails_leave_when_it_is_over(
    server: MailServer, start: Callable[..., Proc]
) -> None:
    """Fault E1: nothing is lost, nothing is doubled, and no attempt is used up."""
    server.answers["MAIL"] = "550 5.4.5 Daily user sending limit exceeded"
    for name in ("one", "two", "three"):
        stage(name, kind=outgoing.STAFF_ALERT)
    with recording() as slack:
        start(python("manage.py", "run_due_work", "--forever"), SLACK_WEBHOOK_URL=slack.url)
        wait_until(lambda: slack.documents("/"), 30)
        assert "No e-mail leaves: the mail server refuses" in slack.documents("/")[0]["text"]
        assert set(Email.objects.values_list("status", "attempts")) == {("pending", 0)}
        server.answers.clear()
        mail_state.try_now(MailState.objects.get())
        wait_until(lambda: not Email.objects.exclude(status="done").exists(), 30)
        wait_until(lambda: len(slack.documents("/")) == 2, 30)
        assert "Recovered: No e-mail leaves" in slack.documents("/")[1]["text"]
    learners = sorted(set(server.taken) - {"staff@maaledu.example"})
    assert learners == [f"{name}@example.com" for name in ("one", "three", "two")]
    assert len(server.taken) == 4
    assert set(Email.objects.values_list("attempts", flat=True)) == {0}

"""Alerts reach Slack and a signed webhook over real HTTP, each once, and so does their end."""

import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from maaledu.work.queue import drain
from notifications import alerts, direct
from notifications.models import Alert, AlertNotice, Email
from notifications.queue import ALERTS
from tests.concurrency import race
from tests.notifications.recorder import Recorder, recording
from tests.sandbox_client import Sandbox

pytestmark = pytest.mark.django_db
SECRET = "a-secret-of-the-webhook-0123456789"
SINCE = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def recorder(settings: Settings) -> Iterator[Recorder]:
    with recording() as recorder:
        settings.SLACK_WEBHOOK_URL = f"{recorder.url}/services/T0/B0/s3cr3t"
        settings.ALERT_WEBHOOK_URL = f"{recorder.url}/v2/enqueue"
        settings.ALERT_WEBHOOK_SECRET = SECRET
        settings.ALERT_WEBHOOK_ROUTING_KEY = "r0uting-key"
        settings.SITE_URL = "https://shop.example"
        yield recorder


def alert(key: str = "platform:frappe:1", **more: str) -> None:
    alerts.alert_staff(
        key=key,
        subject="The learning platform frappe is unavailable",
        lines=["No answer & <nothing>."],
        since=SINCE,
        **more,
    )


def slack(recorder: Recorder) -> list[str]:
    return [each["text"] for each in recorder.documents("/services/T0/B0/s3cr3t")]


def events(recorder: Recorder) -> list[dict]:
    return recorder.documents("/v2/enqueue")


@pytest.mark.any_engine
def test_an_alert_goes_out_once_by_each_channel_with_all_that_staff_need(
    recorder: Recorder,
) -> None:
    for _ in range(3):
        alert()
        drain(ALERTS)
    link = f"https://shop.example/admin/notifications/alert/{Alert.objects.get().pk}/change/"
    [text], [event] = slack(recorder), events(recorder)
    assert text.startswith("*[MaalEdu] The learning platform frappe is unavailable*\n")
    assert "No answer &amp; &lt;nothing&gt;." in text
    assert "Since 2026-11-02 09:30 UTC." in text
    assert "What to do: bring the LMS back" in text
    assert text.endswith(f"<{link}|Open in the office>")
    assert (event["event_action"], event["routing_key"]) == ("trigger", "r0uting-key")
    assert event["dedup_key"] == str(Alert.objects.get().pk)
    assert event["payload"]["summary"] == "[MaalEdu] The learning platform frappe is unavailable"
    assert event["payload"]["source"] == "shop.example"
    assert event["payload"]["severity"] == "error"
    assert event["payload"]["timestamp"] == "2026-11-02T09:30:00+00:00"
    assert event["payload"]["custom_details"]["lines"] == ["No answer & <nothing>."]
    assert "bring the LMS back" in event["payload"]["custom_details"]["what_to_do"]
    assert event["links"] == [{"href": link, "text": "Open in the office"}]
    mail = Email.objects.get()
    assert (mail.context["link"], mail.context["since"]) == (link, "2026-11-02 09:30 UTC")
    assert "bring the LMS back" in mail.context["to_do"]


@pytest.mark.any_engine
def test_the_webhook_is_signed(recorder: Recorder) -> None:
    alert()
    drain(ALERTS)
    [(headers, body)] = [(h, b) for path, h, b in recorder.requests if path == "/v2/enqueue"]
    moment, digest = (part.partition("=")[2] for part in headers["X-MaalEdu-Signature"].split(","))
    signed = hmac.new(SECRET.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    assert digest == signed.hexdigest()


@pytest.mark.any_engine
def test_recovered_follows_once_with_the_same_key(recorder: Recorder) -> None:
    alert()
    alert("platform:frappe:2")
    drain(ALERTS)
    assert (alerts.recover("platform:frappe"), alerts.recover("platform:frappe")) == (2, 0)
    drain(ALERTS)
    keys = [(each["event_action"], each["dedup_key"]) for each in events(recorder)]
    ids = [str(pk) for pk in Alert.objects.values_list("pk", flat=True)]
    assert sorted(keys) == sorted([(a, i) for a in ("resolve", "trigger") for i in ids])
    assert sum("Recovered: The learning platform" in text for text in slack(recorder)) == 2
    assert Email.objects.filter(dedupe_key__startswith="recovered:").count() == 1


def test_recovered_follows_what_was_sent_though_the_last_of_it_was_one_too_many(
    recorder: Recorder,
) -> None:
    alert("level:worker:yellow")
    for number in range(alerts.MOST_OF_A_KIND):
        alert(f"level:other:{number}")
    alert("level:worker:red")
    assert alerts.recover("level:worker") == 2
    assert Email.objects.filter(dedupe_key__startswith="recovered:level:worker").count() == 1
    ended = AlertNotice.objects.filter(action="resolve")
    assert sorted(ended.values_list("channel", flat=True)) == ["slack", "webhook"]


def test_many_who_notice_one_cause_at_once_alert_once(recorder: Recorder) -> None:
    race(lambda _: alert(), threads=6)
    assert (Alert.objects.count(), AlertNotice.objects.count(), Email.objects.count()) == (1, 2, 1)


@pytest.mark.any_engine
def test_what_is_about_a_channel_is_not_sent_by_it(recorder: Recorder) -> None:
    alert("a:1", not_by=alerts.EMAIL)
    alert("b:1", not_by="slack")
    drain(ALERTS)
    assert (len(slack(recorder)), len(events(recorder)), Email.objects.count()) == (1, 2, 1)


def test_many_alerts_of_one_kind_are_a_few_messages_and_one_that_says_so() -> None:
    """Fault O16: 1,269 things of one kind were 1,269 messages."""
    for number in range(60):
        alert(f"dead-email:{number}")
    subjects = [email.context["subject"] for email in Email.objects.all()]
    assert subjects.count("The learning platform frappe is unavailable") == 20
    assert subjects.count("More than 20 alerts of one kind in an hour") == 1
    assert len(subjects) == 21
    assert Alert.objects.filter(is_muted=True).count() == 40


@pytest.mark.parametrize(
    ("status", "state", "code"),
    [
        (404, "dead", "ALERT_CHANNEL_REFUSED"),
        (403, "dead", "ALERT_CHANNEL_REFUSED"),
        (302, "dead", "ALERT_CHANNEL_REFUSED"),
        (429, "pending", "ALERT_CHANNEL_UNAVAILABLE"),
        (503, "pending", "ALERT_CHANNEL_UNAVAILABLE"),
    ],
)
def test_a_channel_that_refuses_is_reported_by_the_others(
    recorder: Recorder, settings: Settings, status: int, state: str, code: str
) -> None:
    settings.ALERT_WEBHOOK_URL = ""
    recorder.status, recorder.body = status, b"no_service"
    alert()
    drain(ALERTS, limit=1)
    notice = AlertNotice.objects.get()
    assert (notice.status, notice.last_error.split(":")[0]) == (state, code)
    assert "no_service" in notice.last_error
    assert "s3cr3t" not in notice.last_error
    told = Email.objects.filter(context__subject="Alerts do not get through by slack")
    assert [each.kind for each in told] == (["staff_alert"] if state == "dead" else [])
    if state == "pending":
        return
    # The next that gets through says so, once; what fails after that on the same day is alerted.
    for answers in (200, 200, 404):
        recorder.status = answers
        alert(f"platform:frappe:{answers}:{len(recorder.requests)}")
        drain(ALERTS)
    subjects = list(Email.objects.order_by("pk").values_list("context__subject", flat=True))
    about = [each for each in subjects if each.endswith("Alerts do not get through by slack")]
    assert about == [told[0].context["subject"], f"Recovered: {about[0]}", about[0]]


def test_a_channel_nobody_answers_at_is_tried_again_and_its_address_is_not_kept(
    settings: Settings,
) -> None:
    settings.SLACK_WEBHOOK_URL = "http://127.0.0.1:1/services/T0/B0/s3cr3t"
    alert()
    drain(ALERTS, limit=1)
    notice = AlertNotice.objects.get()
    assert (notice.status, notice.attempts) == ("pending", 1)
    assert "s3cr3t" not in notice.last_error


def test_without_a_worker_alerts_are_sent_by_who_notices(
    recorder: Recorder, sandbox: Sandbox
) -> None:
    Email.objects.create(dedupe_key="other", kind="affiliate_welcome", to="ada@example.com")
    alert()
    assert direct.send_alerts_now() == 3
    assert (len(slack(recorder)), len(events(recorder))) == (1, 1)
    assert len(sandbox.mails("staff@maaledu.example")) == 1
    assert Email.objects.get(dedupe_key="other").status == "pending"
    assert direct.send_alerts_now() == 0


@pytest.mark.any_engine
def test_the_command_tries_each_channel_and_says_what_came_of_it(
    recorder: Recorder, sandbox: Sandbox
) -> None:
    out = StringIO()
    call_command("alert_test", stdout=out)
    assert out.getvalue().splitlines() == [
        "slack: sent",
        "webhook: sent",
        "e-mail to staff@maaledu.example: sent",
    ]
    assert "This is a test" in slack(recorder)[0]
    assert [event["event_action"] for event in events(recorder)] == ["trigger", "resolve"]
    assert "This is a test" in sandbox.mails("staff@maaledu.example")[0]["text"]


@pytest.mark.any_engine
def test_the_command_fails_where_a_channel_does(recorder: Recorder, sandbox: Sandbox) -> None:
    recorder.status, recorder.body = 404, b"no_service"
    sandbox.fault("smtp", "down")
    out = StringIO()
    with pytest.raises(CommandError, match="slack, webhook, e-mail"):
        call_command("alert_test", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("slack: ALERT_CHANNEL_REFUSED: slack: HTTP 404")
    assert lines[2].startswith("e-mail to staff@maaledu.example: MAIL_UNAVAILABLE")

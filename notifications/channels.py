"""The ways to alert staff beside e-mail: Slack, and a signed webhook.

The webhook's body is an event of PagerDuty's Events API v2, which others read as well; with a
routing key it is PagerDuty's own. Source: PagerDuty, "Send an alert event"; Slack, "Sending
messages using incoming webhooks".
"""

import hashlib
import hmac
import json
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.urls import reverse

from maaledu.errors import AppError
from notifications import alert_pages, delivery, runbook
from notifications.errors import ChannelRefused, ChannelUnavailable
from notifications.models import Alert, AlertNotice

SLACK, WEBHOOK = "slack", "webhook"
SECONDS = (3.05, 10)
LONGEST_TEXT = 3500
LONGEST_SUMMARY = 1024
SIGNATURE = "X-MaalEdu-Signature"
PASSING = {408, 425, 429, *range(500, 600)}


def configured() -> list[str]:
    """Return the channels that the settings name."""
    addresses = {SLACK: settings.SLACK_WEBHOOK_URL, WEBHOOK: settings.ALERT_WEBHOOK_URL}
    return [channel for channel, address in addresses.items() if address]


def send(notice: AlertNotice) -> None:
    """Send an alert, or that it is over, by its channel.

    Raises ChannelUnavailable where another try may help, and ChannelRefused where none does.
    """
    body = _slack(notice) if notice.channel == SLACK else _event(notice)
    deliver(notice.channel, body)


def deliver(channel: str, body: dict[str, Any]) -> None:
    """Post a body to the channel's address, signed where there is a secret. Raises as `send`."""
    url = settings.SLACK_WEBHOOK_URL if channel == SLACK else settings.ALERT_WEBHOOK_URL
    if not url:
        raise ChannelRefused(f"{channel} is no longer among the settings.")
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if channel == WEBHOOK and settings.ALERT_WEBHOOK_SECRET:
        headers[SIGNATURE] = _signature(data)
    try:
        answer = requests.post(
            url, data=data, headers=headers, timeout=SECONDS, allow_redirects=False
        )
    except requests.RequestException as error:
        # Not its text, in which the address is: a webhook's address is a secret.
        raise ChannelUnavailable(f"{channel}: {type(error).__name__}") from None
    if not 200 <= answer.status_code < 300:
        raise _refusal(channel, answer)


def _refusal(channel: str, answer: requests.Response) -> AppError:
    error = ChannelUnavailable if answer.status_code in PASSING else ChannelRefused
    says = delivery.sentence(answer.text[:LONGEST_TEXT])
    return error(f"{channel}: HTTP {answer.status_code}. It says: “{says}”")


def _signature(data: bytes) -> str:
    """Return moment and HMAC-SHA256 of `<moment>.<body>`, as Stripe's signatures are made."""
    moment = str(int(time.time()))
    key = settings.ALERT_WEBHOOK_SECRET.encode()
    digest = hmac.new(key, f"{moment}.".encode() + data, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def link_to(alert: Alert) -> str:
    return settings.SITE_URL + reverse("admin:notifications_alert_change", args=[alert.pk])


def _slack(notice: AlertNotice) -> dict[str, Any]:
    alert = notice.alert
    subject = f"*[{_escaped(settings.SITE_NAME)}] {_title(notice)}*"
    to_do = runbook.what_to_do(alert.subject)
    parts = [
        *map(_escaped, alert.lines),
        f"Since {_moment(alert)}.",
        f"What to do: {_escaped(to_do)}" if to_do else "",
    ]
    # Cut before the link, which is what leads to the rest.
    text = "\n".join([subject, *filter(None, parts)])[:LONGEST_TEXT]
    about = f"<{alert_pages.page_of(alert)}|Open what it is about>"
    return {"text": f"{text}\n{about} · <{link_to(alert)}|Open in the office>"}


def _title(notice: AlertNotice) -> str:
    is_over = notice.action == AlertNotice.RESOLVE
    return _escaped(notice.alert.subject_when_over if is_over else notice.alert.subject)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _moment(alert: Alert) -> str:
    return f"{alert.since:%Y-%m-%d %H:%M} UTC"


def _event(notice: AlertNotice) -> dict[str, Any]:
    alert = notice.alert
    details = {
        "lines": alert.lines,
        "since": _moment(alert),
        "what_to_do": runbook.what_to_do(alert.subject),
    }
    return {
        "routing_key": settings.ALERT_WEBHOOK_ROUTING_KEY,
        "event_action": notice.action,
        "dedup_key": str(alert.pk),
        "client": settings.SITE_NAME,
        "client_url": link_to(alert),
        "links": [{"href": link_to(alert), "text": "Open in the office"}],
        "payload": {
            "summary": f"[{settings.SITE_NAME}] {alert.subject}"[:LONGEST_SUMMARY],
            "source": urlsplit(settings.SITE_URL).hostname or settings.SITE_NAME,
            "severity": "error",
            "timestamp": alert.since.isoformat(),
            "custom_details": details,
        },
    }

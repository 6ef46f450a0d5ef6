"""Everything that may say that something is wrong: it is listened to once a minute."""

import json
import re
from dataclasses import dataclass

import requests
from django.conf import settings

from tests.notifications.recorder import Recorder
from tests.sandbox_client import Sandbox

EMAIL, SLACK, WEBHOOK = "e-mail", "Slack", "webhook"
READY, WORK, LIVE, LMS = "/health/ready", "/health/work", "/health/live", "/api/health/frappe"
ADDRESSES = (LIVE, READY, WORK, LMS)
WELL = "200"
STAFF = settings.STAFF_ALERT_EMAILS[0]
SHOP_IN_FRONT = re.compile(r"^\*?\[[^]]+\] ")
LEVEL = re.compile(r"^Now (?:red|yellow): ")


@dataclass(frozen=True)
class Saying:
    """What was said, by which way, so many minutes after the fault was made or mended."""

    minute: int
    way: str
    text: str


class Ears:
    """What staff read by each way, and what a monitor is answered."""

    def __init__(self, sandbox: Sandbox, recorder: Recorder, url: str) -> None:
        self.sandbox, self.recorder, self.url = sandbox, recorder, url
        self.said: list[Saying] = []
        self._read = 0
        self._answers = dict.fromkeys(ADDRESSES, WELL)
        recorder.requests.clear()

    def take(self) -> list[Saying]:
        said, self.said = self.said, []
        return said

    def listen(self, minute: int) -> None:
        """Note what is new; of an address only that its answer is another one than before."""
        self.said += [Saying(minute, way, text) for way, text in self._alerts()]
        for address in ADDRESSES:
            answer = self._ask(address)
            if answer != self._answers[address]:
                self._answers[address] = answer
                self.said.append(Saying(minute, address, answer))

    def _alerts(self) -> list[tuple[str, str]]:
        new = [mail for mail in self.sandbox.mails(STAFF) if mail["number"] > self._read]
        self._read = max((mail["number"] for mail in new), default=self._read)
        heard = [(EMAIL, SHOP_IN_FRONT.sub("", mail["subject"])) for mail in reversed(new)]
        # What comes while this is read stays for the next minute.
        posted = [self.recorder.requests.pop(0) for _ in range(len(self.recorder.requests))]
        documents = [(path, json.loads(body)) for path, _, body in posted]
        for message in (document for path, document in documents if path == "/slack"):
            title = message["text"].splitlines()[0].rstrip("*")
            heard.append((SLACK, SHOP_IN_FRONT.sub("", title)))
        for event in (document for path, document in documents if path == "/webhook"):
            title = SHOP_IN_FRONT.sub("", event["payload"]["summary"])
            is_over = event["event_action"] == "resolve"
            heard.append((WEBHOOK, f"Recovered: {LEVEL.sub('', title)}" if is_over else title))
        return heard

    def _ask(self, address: str) -> str:
        try:
            return str(requests.get(f"{self.url}{address}", timeout=5).status_code)
        except requests.RequestException:
            return "no answer"

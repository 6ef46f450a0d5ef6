"""Take people and secrets out of what is sent to Sentry, which is somebody else's machine.

What may be there is named, and everything else is left out: type and place of an error, the route
of a page, and how long things took. The text of an error may hold anything; it is in our own log,
under the request's id, which goes along.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

from maaledu import tracing
from maaledu.logs import Redactor

Event = dict[str, Any]

OF_ALL = (
    "event_id",
    "timestamp",
    "start_timestamp",
    "platform",
    "level",
    "logger",
    "release",
    "environment",
    "sdk",
    "type",
)
NAMED_BY_US = ("route", "task", "component", "custom")  # and not by the address that was asked for
OF_SPANS = ("op", "span_id", "parent_span_id", "trace_id", "start_timestamp", "timestamp", "status")
OF_FRAMES = ("filename", "module", "function", "lineno", "in_app")


class Anonymizer:
    """Makes new events of Sentry's, with what is harmless in them; `secrets` are hidden besides."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.redactor = Redactor(secrets)

    def error(self, event: Event, _hint: Any) -> Event:
        """Return an error with its type and place, or the fixed words of a line of the log."""
        kept = self._common(event)
        message = event.get("logentry", {}).get("message") or event.get("message")
        if message:
            kept["logentry"] = {"message": self.line(message)}
        raised = event.get("exception", {}).get("values") or []
        if raised:
            kept["exception"] = {"values": [self._exception(each) for each in raised]}
        return kept

    def transaction(self, event: Event, _hint: Any) -> Event:
        """Return a trace with the kind and duration of each step."""
        spans = [self._span(span) for span in event.get("spans") or []]
        return {**self._common(event), "spans": spans}

    def _common(self, event: Event) -> Event:
        kept = {name: event[name] for name in OF_ALL if name in event}
        method = event.get("request", {}).get("method")
        trace = event.get("contexts", {}).get("trace")
        if event.get("transaction_info", {}).get("source") in NAMED_BY_US:
            kept["transaction"] = event.get("transaction")
        if tracing.current():
            kept["tags"] = {"request_id": tracing.current()}
        if method:
            kept["request"] = {"method": method}
        if trace:
            kept["contexts"] = {"trace": {name: trace[name] for name in OF_SPANS if name in trace}}
        return kept

    @staticmethod
    def _exception(raised: Event) -> Event:
        frames = (raised.get("stacktrace") or {}).get("frames") or []
        return {
            "type": raised.get("type"),
            "module": raised.get("module"),
            "stacktrace": {
                "frames": [{name: f[name] for name in OF_FRAMES if name in f} for f in frames]
            },
        }

    def _span(self, span: Event) -> Event:
        kept = {name: span[name] for name in OF_SPANS if name in span}
        # Of a call to an LMS the rest of the address holds who it is about.
        return {**kept, "description": self.line(span.get("description") or "").partition("?")[0]}

    def line(self, text: str) -> str:
        """Return the first line without secrets and mailboxes."""
        return self.redactor.text(unquote(str(text)).partition("\n")[0])

"""Structured logs through the standard library, without secrets and mailboxes in any line."""

import functools
import json
import logging.config
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.types import EventDict, Processor

from maaledu.tracing import OF_PURCHASE, OF_REQUEST
from maaledu.version import VERSION

ACCESS = "maaledu.access"
HIDDEN = "[hidden]"
SHORTEST_SECRET = 8
DEPTH = 6
LONGEST_TEXT = 20_000
LINE_ENDS = {code: f"\\u{code:04x}" for code in (0x85, 0x2028, 0x2029)}
DROPPED = ("request", "data", "_record", "_from_structlog")
OURS = ("timestamp", "level", "logger", OF_REQUEST, OF_PURCHASE, "version")

SECRET_WORDS = (
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "api_key",
    "api-key",
    "apikey",
    "cookie",
    "signature",
    "csrf",
    "sessionid",
    "credential",
    "card_number",
    "cvc",
)
SECRET_NAME = "|".join(SECRET_WORDS)
SECRET_KEY = re.compile(SECRET_NAME, re.IGNORECASE)
NUMBER = re.compile(r"(?<![\w-])\d(?:[ -]?\d){12,18}(?![\w-])")
AFTER_NAME = (
    r"(?!\[hidden)(?:\"[^\"]{0,400}\"|'[^']{0,400}'|(?:bearer |basic |token )?[^\s&\"',;)}]{1,400})"
)

# The addresses of a learner's own pages, which open to whoever has them.
ADDRESS_TOKEN = re.compile(r"(/(?:enrollments|cancelled|grants|account/refund)/[\w-]{4})[\w-]{5,}")
CUT_ADDRESS = r"\1…"

# What a secret looks like: a few characters to search for first, since most lines hold none; then
# what to replace. Every repetition is bounded, so that a long line sent by a visitor costs time in
# proportion to its length and no more.
LOOKS: list[tuple[tuple[str, ...], re.Pattern[str], str]] = [
    (("://",), re.compile(r"(?i)([a-z0-9+.-]{1,20}://)[^\s/@]{1,300}@"), rf"\1{HIDDEN}@"),
    (("hooks.slack.com",), re.compile(r"(hooks\.slack\.com/services/)[\w/-]+"), rf"\1{HIDDEN}"),
    (("_live_", "_test_"), re.compile(r"(?:sk|rk|pk)_(?:live|test)_\w+"), HIDDEN),
    (("whsec_",), re.compile(r"whsec_\w+"), HIDDEN),
    (("sg.",), re.compile(r"\bSG\.[\w-]{10,100}\.[\w-]{10,100}"), HIDDEN),
    (
        ("signature",),
        re.compile(r"(?i)(signature['\"]?\s{0,4}[=:]\s{0,4})(?:\w{1,10}=[^\s,]{1,200},?\s?){1,9}"),
        rf"\1{HIDDEN}",
    ),
    (
        SECRET_WORDS,
        re.compile(
            rf"(?i)((?:{SECRET_NAME})[\w-]{{0,40}}['\"]?\s{{0,4}}[=:]\s{{0,4}}){AFTER_NAME}"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        ("bearer", "basic"),
        re.compile(r"(?i)\b(bearer|basic)\s{1,4}[\w.~+/=:-]{6,}"),
        rf"\1 {HIDDEN}",
    ),
    (
        ("token",),
        re.compile(r"(?i)\btoken\s{1,4}[^\s:'\"]{1,200}:[^\s'\",]{1,200}"),
        f"token {HIDDEN}",
    ),
    (("/enrollments/", "/cancelled/", "/grants/", "/refund/"), ADDRESS_TOKEN, CUT_ADDRESS),
    # The row that a database refused, which it repeats in its message.
    (
        ("detail:", "context:"),
        re.compile(
            r"(?ms)^(DETAIL|CONTEXT): .*?(?=^(?:HINT|CONTEXT): |^\n(?:The above|During) |\Z)"
        ),
        rf"\1: {HIDDEN}\n",
    ),
    (("dup key:",), re.compile(r"dup key: .*"), f"dup key: {HIDDEN}"),
    (
        ("@",),
        re.compile(r"([\w.+-])[\w.+%'-]{0,64}@((?:[\w-]{1,63}\.){1,9}[\w-]{2,63})"),
        r"\1***@\2",
    ),
]
ANY_SIGN = re.compile("|".join(re.escape(sign) for signs, _, _ in LOOKS for sign in signs))


def configure(options: Mapping[str, Any]) -> None:
    """Set the logs up by `level`, `json` (else lines for people) and the `secrets` to hide."""
    logging.config.dictConfig(config(options))
    structlog.configure(
        processors=[*_prepare(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _prepare() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _add_version,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def config(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same for the standard library alone, as gunicorn takes it for its own lines."""
    redact = Redactor(options.get("secrets", ()))
    render: list[Processor] = (
        [structlog.processors.JSONRenderer(serializer=_json)]
        if options["json"]
        else [_on_one_line, structlog.dev.ConsoleRenderer(colors=False)]
    )
    structured = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _prepare(),
        "processors": [structlog.processors.format_exc_info, redact, *render],
    }
    access = {"()": AccessFormatter, "redact": redact, "as_json": options["json"]}
    return _dict_config({"structured": structured, "access": access}, options["level"])


def _json(event: Any, **options: Any) -> str:
    """Return one line, also for readers who take other characters than \\n for its end."""
    return json.dumps(event, ensure_ascii=False, **options).translate(LINE_ENDS)


def _on_one_line(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Escape what would begin another line. Tracebacks have several, each indented."""
    return {
        key: (_indented(value) if key == "exception" else _escaped(value))
        if isinstance(value, str)
        else value
        for key, value in event.items()
    }


def _indented(text: str) -> str:
    """Return lines of which none looks like one of the log, whatever an error's text holds."""
    return "\n".join(f"    {_escaped(line)}" for line in text.splitlines())


def _escaped(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


def _add_version(_logger: Any, _method: str, event: EventDict) -> EventDict:
    event["version"] = VERSION
    return event


def _dict_config(formatters: dict[str, Any], level: str) -> dict[str, Any]:
    """Return the handlers, without those that loggers bring themselves or that repeat a request."""
    plain: dict[str, Any] = {"handlers": [], "propagate": True}
    quiet = ("django.server", "django.request", "django.security.csrf")
    chatty = (
        "urllib3",
        "stripe",
        "asyncio",
        "celery.beat",
        "celery.worker.strategy",
        "celery.app.trace",
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": formatters,
        "handlers": {
            name: {"class": "logging.StreamHandler", "formatter": name} for name in formatters
        },
        "root": {"handlers": ["structured"], "level": level},
        "loggers": {
            ACCESS: {"handlers": ["access"], "propagate": False, "level": level},
            **{name: {**plain, "level": level} for name in ("django", "celery", "gunicorn.error")},
            **{name: {**plain, "level": "ERROR"} for name in quiet},
            **{name: {**plain, "level": "WARNING"} for name in chatty},
        },
    }


def without_tokens(text: str) -> str:
    """Return the text with each address of a learner's own pages cut."""
    return ADDRESS_TOKEN.sub(CUT_ADDRESS, text)


class Redactor:
    """The last step before a line is written, which takes secrets out of it.

    It hides by the name of a field, by known values, and by what a secret looks like.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted(
            {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True
        )
        self.known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        return {
            key: value if key in OURS else self.field(key, value)
            for key, value in event.items()
            if key not in DROPPED
        }

    def field(self, key: str, value: Any, depth: int = 0) -> Any:
        if value not in ("", None) and SECRET_KEY.search(key):
            return HIDDEN
        return self.value(value, depth)

    def value(self, value: Any, depth: int = 0) -> Any:
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return HIDDEN if _is_card(str(value)) else value
        if isinstance(value, dict) and depth < DEPTH:
            return {str(key): self.field(str(key), item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set) and depth < DEPTH:
            return [self.value(item, depth + 1) for item in value]
        return self.text(str(value))

    def text(self, text: str) -> str:
        """Return the text without credentials, card numbers and the names of mailboxes."""
        if len(text) > LONGEST_TEXT:
            text = f"{text[:LONGEST_TEXT]}…"
        if self.known:
            text = self.known.sub(HIDDEN, text)
        lower = text.lower()
        if ANY_SIGN.search(lower):  # most texts hold none
            for signs, pattern, replacement in LOOKS:
                if any(sign in lower for sign in signs):
                    text = pattern.sub(replacement, text)
        return NUMBER.sub(lambda found: HIDDEN if _is_card(found[0]) else found[0], text)


class AccessFormatter(logging.Formatter):
    """The one line of every request.

    Made without structlog, whose processors would cost more than a cached page does.
    """

    def __init__(self, *, redact: Redactor, as_json: bool) -> None:
        super().__init__()
        self.as_json = as_json
        self.path = functools.lru_cache(maxsize=2048)(redact.text)

    def format(self, record: logging.LogRecord) -> str:
        facts = dict(record.facts)  # type: ignore[attr-defined]
        facts["path"] = self.path(facts["path"])
        now = datetime.fromtimestamp(record.created, UTC).isoformat()
        if self.as_json:
            line = {
                "timestamp": now,
                "level": "info",
                "logger": ACCESS,
                "event": record.msg,
                "version": VERSION,
                **facts,
            }
            return _json(line)
        return f"{now} {_escaped(' '.join(map(str, facts.values())))} {VERSION}"


def _is_card(text: str) -> bool:
    """Return whether the digits are as many as a card number's and pass its check digit (Luhn)."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0

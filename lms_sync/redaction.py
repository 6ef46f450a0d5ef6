"""Make a call to the LMS fit to be stored: without secrets, whole addresses and names."""

import re
from collections.abc import Iterable

MAX_KEPT = 4096
HIDDEN = "[redacted]"
_CREDENTIALS = (
    r"authorization|cookie|set-cookie|password|new_password|api_key|api_secret|secret|token"
    r"|csrf_token|sid|access_token|activation_key"
)
_PERSON_NAMES = (
    r"first_name|last_name|full_name|member_name|member_username|username|user_image|member_image"
)
_VALUE = r'"(?:[^"\\]|\\.)*"?|[^\s,;&}\]]+'
_NAMED = re.compile(
    rf"""(["']?\b(?:{_CREDENTIALS}|{_PERSON_NAMES})["']?\s*[:=]\s*)({_VALUE})""", re.IGNORECASE
)
_SCHEMES = re.compile(r"\b(token|bearer|basic|jwt)\s+[\w\-.~+/=:]{6,}", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<![\w.+%'-])([\w+])[\w.+%'-]{0,139}?(@|%40)(?=[\w-])")
_TRACEBACK = re.compile(r'("(?:exc|exception|_exc_source)"\s*:\s*)"(?:[^"\\]|\\.)*"?')
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def printable(text: str) -> str:
    """Return the text without characters that a database refuses or a terminal interprets."""
    return _UNPRINTABLE.sub("", text)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide keys, cookies, passwords, names and tracebacks, mask addresses, and cut at 4 KB."""
    text = printable(text[: 4 * MAX_KEPT])
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    text = _TRACEBACK.sub(rf'\1"{HIDDEN}"', text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    text = _SCHEMES.sub(rf"\1 {HIDDEN}", text)
    text = _ADDRESS.sub(r"\1***\2", text)
    return text if len(text) <= MAX_KEPT else text[: MAX_KEPT - 1] + "…"

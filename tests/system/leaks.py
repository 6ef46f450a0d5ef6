"""What must never stand in a log: keys, signing secrets, whole e-mail addresses, the tokens of
status pages, cookies.
"""

import re

from enrollments.models import Enrollment
from tests.sandbox_client import LMS_KEY, STRIPE_KEY, WEBHOOK_SECRET

SECRETS = (STRIPE_KEY, WEBHOOK_SECRET, LMS_KEY, *LMS_KEY.split(":"))
LOOKS_LIKE_ONE = re.compile(
    r"sk_(?:test|live)_\w|whsec_\w|v1=[0-9a-f]{20}|Bearer \S|csrftoken=\S|sessionid=\S|\b4242"
    r" ?4242|[\w.+-]{2,}@[\w-]+\.[\w.-]+"
)


def leaks_in(text: str) -> list[str]:
    """Return each line that holds something secret, headed by what it is."""
    known = [*SECRETS, *Enrollment.objects.values_list("token", flat=True)]
    return [f"{found}: {line[:300]}" for line in text.splitlines() for found in _found(line, known)]


def _found(line: str, known: list[str]) -> list[str]:
    return [secret for secret in known if secret in line] + LOOKS_LIKE_ONE.findall(line)

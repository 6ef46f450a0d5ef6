"""What staff write to applicants, with the words that stand for an application's own.

Staff keep such texts as templates (`MessageTemplate`), or type them; both are filled in when the
decision is made.
"""

import re
from datetime import datetime

from grants import mails
from grants.errors import InvalidDecision
from grants.models import Grant, MessageTemplate

ALWAYS = ("name", "course")
OF_AN_APPROVAL = ("percent", "expires")
WORDS = {
    MessageTemplate.APPROVAL: (*ALWAYS, *OF_AN_APPROVAL),
    MessageTemplate.REJECTION: ALWAYS,
}
LONGEST: int = Grant._meta.get_field("note").max_length or 0
WORD = re.compile(r"\{(\w*)\}")


def unknown_words(text: str, used_for: str) -> list[str]:
    """Return what stands in braces and is not filled in for this use, such as "{nmae}"."""
    return [each[0] for each in WORD.finditer(text) if each[1] not in WORDS.get(used_for, ())]


def filled(
    text: str,
    grant: Grant,
    *,
    course: str,
    percent: int | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Return the text as this applicant reads it; other braces stay as they are.

    Raises InvalidDecision where it has become longer than a note may be.
    """
    values = {"name": grant.name, "course": course}
    if percent is not None and expires_at is not None:
        values["percent"] = str(percent)
        values["expires"] = mails.last_moment(expires_at)
    message = WORD.sub(lambda found: values.get(found[1], found[0]), text)
    if len(message) > LONGEST:
        raise InvalidDecision(
            f"The message to {grant.name} has {len(message)} characters: at most {LONGEST}."
        )
    return message

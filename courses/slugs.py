"""The slug of a course, from a name with capitals and underscores such as the old platform's."""

import re

NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")


def slug_of(name: str) -> str:
    """Return the name in lower case, with one hyphen for whatever a slug has not."""
    return NOT_IN_SLUG.sub("-", name.lower()).strip("-")

"""Batches of Frappe, which give their members courses. Source: contracts/frappe, section 13.

Whoever joins one is enrolled in each of its courses, unless they are enrolled already: then the
batch counts on that enrollment, which does not say so.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lms_sync.errors import LmsMisconfigured, LmsRefused
from lms_sync.platforms.base import Found, Revocation
from lms_sync.platforms.client import Client
from lms_sync.platforms.frappe_lists import rows

MEMBERS = "/api/resource/LMS%20Batch%20Enrollment"
BATCHES = "/api/resource/LMS%20Batch"
COURSES = "Batch Course"  # the rows in a batch that name its courses


def counted_on(
    client: Client, revocation: Revocation, found: Sequence[Found], ours: Sequence[Found]
) -> list[Found]:
    """Return the one of ours that a batch counts on, if any: the learner would lose its course.

    Where the learner has another one as well, nothing is lost with ours.
    """
    if not ours or len(ours) < len(found) or not _is_given(client, revocation):
        return []
    kept = next((row for row in ours if row.is_touched), ours[0])
    return [replace(kept, is_elsewheres=True)]


def _is_given(client: Client, revocation: Revocation) -> bool:
    """Whether a batch that the learner is in has the course, as far as our key is shown batches."""
    try:
        joined = rows(client, MEMBERS, [["member", "=", revocation.email]], ["batch"])
        names = sorted({str(row.get("batch")) for row in joined})
        if not names:
            return False
        having: list[list[Any]] = [
            ["name", "in", names],
            [COURSES, "course", "=", revocation.course_id],
        ]
        return bool(rows(client, BATCHES, having, ["name"]))
    except (LmsMisconfigured, LmsRefused):
        return False

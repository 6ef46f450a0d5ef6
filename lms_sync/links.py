"""Where learners find a course and their certificate, and where they make an account."""

import logging
from urllib.parse import quote, urljoin, urlsplit

from django.conf import settings

from courses.models import Course

logger = logging.getLogger(__name__)

LONGEST_LINK = 500


def course_link(platform: str, course_id: str) -> str:
    """Return the address of a course, or of the platform if the setting cannot be filled in.

    Raises nothing: a wrong setting must not break the status page and the confirmation.
    """
    name = "OPENEDX_COURSE_URL" if platform == Course.Platform.OPENEDX else "LMS_COURSE_URL"
    template, base = getattr(settings, name), base_url(platform)
    try:
        return template.format(base_url=base, course_id=course_id)
    except (LookupError, ValueError, AttributeError, TypeError):
        logger.exception("%s cannot be filled in", name, extra={"template": template})
        return base


def certificate_link(course_id: str, certificate_id: str) -> str:
    """Return the address of a certificate in Frappe LMS, "" where the setting cannot be filled in.

    Open edX says the address itself.
    """
    given = {
        "course_id": quote(course_id, safe=""),
        "certificate_id": quote(certificate_id, safe=""),
    }
    try:
        link = settings.LMS_CERTIFICATE_URL.format(base_url=_base(Course.Platform.FRAPPE), **given)
    except (LookupError, ValueError, AttributeError, TypeError):
        logger.exception("LMS_CERTIFICATE_URL cannot be filled in")
        return ""
    return own_link(Course.Platform.FRAPPE, link)


def own_link(platform: str, link: str) -> str:
    """Return a link that an LMS gave, complete, if it leads to the LMS's own host; "" otherwise.

    Learners follow it, so that it must not lead anywhere else, whatever the LMS says.
    """
    base = _base(platform)
    if not link or not link.isprintable() or " " in link or "\\" in link:
        return ""
    try:
        complete = urljoin(f"{base}/", link)
        there, ours = urlsplit(complete), urlsplit(base)
        is_own = (there.scheme, there.netloc.lower()) == (ours.scheme, ours.netloc.lower())
    except ValueError:
        return ""
    return complete if is_own and ours.netloc and len(complete) <= LONGEST_LINK else ""


def _base(platform: str) -> str:
    return base_url(platform).strip().rstrip("/")


def register_link(platform: str) -> str:
    """Return where learners make their account themselves; "" where we make it for them."""
    return f"{base_url(platform)}/register" if platform == Course.Platform.OPENEDX else ""


def base_url(platform: str) -> str:
    return (
        settings.OPENEDX_BASE_URL
        if platform == Course.Platform.OPENEDX
        else settings.FRAPPE_LMS_BASE_URL
    )

"""A course as schema.org data, for search engines: a JSON-LD block, which browsers do not run."""

import json

from django.conf import settings
from django.utils.safestring import SafeString

from courses.models import Course
from maaledu.money import plain_amount

_UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def describe(course: Course) -> SafeString:
    """Return the JSON of a course, escaped so that no text in it can end its script element."""
    return SafeString(json.dumps(_facts(course), ensure_ascii=False).translate(_UNSAFE))


def _facts(course: Course) -> dict:
    return {
        "@context": "https://schema.org",
        "@type": "Course",
        "name": course.title,
        "description": course.summary,
        "url": settings.SITE_URL + course.get_absolute_url(),
        "image": settings.SITE_URL + course.cover_url,
        "inLanguage": course.language,
        "educationalLevel": course.get_level_display(),
        "teaches": course.outcome_list,
        "provider": {"@type": "Organization", "name": settings.SITE_NAME, "url": settings.SITE_URL},
        "offers": _offer(course),
        "hasCourseInstance": {
            "@type": "CourseInstance",
            "courseMode": "online",
            "courseWorkload": f"PT{course.duration_hours}H",
        },
    }


def _offer(course: Course) -> dict:
    return {
        "@type": "Offer",
        "category": "Free" if course.is_free else "Paid",
        "price": plain_amount(course.price, course.currency),
        "priceCurrency": course.currency.upper(),
        "availability": "https://schema.org/InStock",
    }

"""A course as schema.org data, for search engines: a JSON-LD block, which browsers do not run."""

import json
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.utils.safestring import SafeString

from courses.models import Course
from courses.profiles import Person
from maaledu import seller
from maaledu.money import plain_amount

_UNSAFE = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


CONTEXT = "https://schema.org"


def describe(course: Course, people: Sequence[Person] = ()) -> SafeString:
    """Return the JSON of a course, escaped so that no text in it can end its script element."""
    return _escaped(_facts(course, people))


def describe_seller() -> SafeString:
    """Return the JSON of the organization that sells, as `describe` does."""
    return _escaped({"@context": CONTEXT, **seller.organization()})


def _escaped(facts: dict[str, Any]) -> SafeString:
    return SafeString(json.dumps(facts, ensure_ascii=False).translate(_UNSAFE))


def _facts(course: Course, people: Sequence[Person]) -> dict[str, Any]:
    return {
        "@context": CONTEXT,
        "@type": "Course",
        "@id": _address(course),
        "name": course.title,
        "description": course.summary,
        "url": _address(course),
        "image": settings.SITE_URL + course.card_url,
        "inLanguage": course.language,
        "educationalLevel": course.get_level_display(),
        "teaches": course.outcomes,
        "provider": seller.organization(),
        "offers": _offer(course),
        "hasCourseInstance": {
            "@type": "CourseInstance",
            "courseMode": "online",
            "courseWorkload": f"PT{course.duration_hours}H",
            "instructor": [_person(person) for person in people],
        },
    }


def _address(course: Course) -> str:
    return str(settings.SITE_URL + course.get_absolute_url())


def _person(person: Person) -> dict[str, str]:
    known = {
        "jobTitle": person.role,
        "description": person.biography,
        "url": person.link,
        "image": settings.SITE_URL + person.face_url if person.face_url else "",
    }
    return {
        "@type": "Person",
        "name": person.name,
        **{name: value for name, value in known.items() if value},
    }


def _offer(course: Course) -> dict[str, str]:
    return {
        "@type": "Offer",
        "url": _address(course),
        "category": "Free" if course.is_free else "Paid",
        "price": plain_amount(course.price, course.currency),
        "priceCurrency": course.currency.upper(),
        "availability": "https://schema.org/InStock",
    }

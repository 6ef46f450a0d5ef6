"""Everything that can be wrong with a shop's set-up, tried in one run and said in words."""

from collections.abc import Callable, Iterator
from functools import partial

from courses.models import Course
from lms_sync import diagnosis as lms
from maaledu.diagnosis import Result
from maaledu.work.items import summary
from operations import stripe_check
from operations.doctor import access, machine, mail, serving

Part = Callable[[], Iterator[Result]]


def parts() -> dict[str, Part]:
    """Return what there is to try, by name; what the rest builds on comes first."""
    return {
        "settings": machine.settings_are_safe,
        "files": machine.files_are_private,
        "disk": machine.disk_has_room,
        "database": serving.database_serves,
        "cache": serving.cache_serves,
        "broker": serving.broker_serves,
        "work": serving.work_gets_done,
        "access": access.buyers_have_access,
        "webhook secrets": serving.secrets_are_used,
        "web": serving.web_serves_this_release,
        "proxy": serving.proxy_stands_in_front,
        "mail": mail.server_takes_mail,
        "Stripe": stripe_check.examine,
        **{f"LMS {name}": partial(_lms, name) for name in lms.configured_platforms()},
    }


def examine() -> Iterator[tuple[str, Result]]:
    """Yield each result with its part. A part that fails as a whole is a problem of its own, and
    stops no other.
    """
    for name, part in parts().items():
        try:
            for result in part():
                yield name, result
        except Exception as error:  # noqa: BLE001 whatever is broken, the rest is looked at
            yield name, Result("all of it", ok=False, message=summary(error))


def _lms(name: str) -> Iterator[Result]:
    courses = Course.objects.published().filter(lms_platform=name)
    return lms.examine(name, courses.order_by("slug"))

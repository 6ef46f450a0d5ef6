import gc
from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from maaledu.checks import check_database, check_environment


class MaalEduConfig(AppConfig):
    name = "maaledu"
    verbose_name = "MaalEdu"

    def ready(self) -> None:
        """Register the checks; load Celery, but only where there is a broker; and let the garbage
        collector begin, which the entrances stop: what is loaded by now stays, and looking through
        it again and again is an eighth of a start.
        """
        if settings.CELERY_BROKER_URL:
            import_module("maaledu.celery")
        gc.freeze()
        gc.enable()
        checks.register(check_environment)
        checks.register(check_database, checks.Tags.database)

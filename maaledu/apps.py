import gc

from django.apps import AppConfig
from django.core import checks

from maaledu.checks import check_database, check_environment


class MaalEduConfig(AppConfig):
    name = "maaledu"
    verbose_name = "MaalEdu"

    def ready(self) -> None:
        """Register the checks, and let the garbage collector begin, which the entrances stop: what
        is loaded by now stays, and looking through it again and again is an eighth of a start.
        """
        gc.freeze()
        gc.enable()
        checks.register(check_environment)
        checks.register(check_database, checks.Tags.database)

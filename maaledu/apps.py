from django.apps import AppConfig
from django.core import checks

from maaledu.checks import check_database, check_environment


class MaalEduConfig(AppConfig):
    name = "maaledu"
    verbose_name = "MaalEdu"

    def ready(self) -> None:
        checks.register(check_environment)
        checks.register(check_database, checks.Tags.database)

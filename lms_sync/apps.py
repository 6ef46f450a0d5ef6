from django.apps import AppConfig
from django.core import checks

from lms_sync.checks import check_courses_have_drivers, check_lms_settings


class LmsSyncConfig(AppConfig):
    name = "lms_sync"
    verbose_name = "LMS sync"

    def ready(self) -> None:
        checks.register(check_lms_settings)
        checks.register(check_courses_have_drivers, checks.Tags.database)

"""The settings of the tests: the product's own, on a test database, with outside services at the
sandbox's places.
"""

import os
from datetime import timedelta

from tests import engines

# Nothing of a developer's own .env may leak into the tests: the environment wins over that file.
os.environ.update(
    MAALEDU_ENV="development",
    DATABASE_URL=engines.database_url(),
    DATABASE_POOL_MAX="24",
    REDIS_URL=os.environ.get("TEST_REDIS_URL", ""),
    CELERY_BROKER_URL="",
    STRIPE_SECRET_KEY="sk_test_sandbox",
    STRIPE_WEBHOOK_SECRET="whsec_sandbox",
    STRIPE_API_BASE="http://127.0.0.1:9/stripe",
    FRAPPE_LMS_BASE_URL="http://127.0.0.1:9/lms",
    FRAPPE_LMS_API_KEY="sandbox-key:sandbox-secret",
    FRAPPE_DRIVER="rest",
    OPENEDX_BASE_URL="",
    OPENEDX_CLIENT_ID="sandbox-client",
    OPENEDX_CLIENT_SECRET="sandbox-edx-secret",
    OPENEDX_MODE="verified",
    OPENEDX_COURSE_MODES="",
    LMS_CALLS_PER_SECOND="1000",
    OPENEDX_CALLS_PER_SECOND="1000",
    LMS_CALLS_AT_ONCE="64",
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT="9",
    SITE_URL="http://testserver",
    SECRET_KEY="",
    SENDGRID_API_KEY="",
    SLACK_WEBHOOK_URL="",
    PROMETHEUS_MULTIPROC_DIR="",
    MONITOR_TOKEN="",
    MONITOR_NETWORKS="",
)

from maaledu.settings import *
from maaledu.settings import DATABASES, INSTALLED_APPS

DATABASES = {"default": engines.for_tests(DATABASES["default"])}
INSTALLED_APPS = [*INSTALLED_APPS, "tests.dbapp"]
ALLOWED_HOSTS = ["*"]
LMS_FIGURES_EVERY = timedelta(hours=24)  # a flush would come into whatever test is under way
PUBLIC_PAGE_RECHECK = timedelta(0)
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Otherwise WhiteNoise lists every static file again for each test client; it serves the same files
# either way.
WHITENOISE_AUTOREFRESH = True
# A thread that looks by itself would do so in the middle of some test or other.
WATCH_FROM_WEB = False

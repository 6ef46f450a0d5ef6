"""Every setting, grouped by topic. The environment is read here and nowhere else (django-environ).

`.env.example` explains each variable. A setting that production needs and does not have stops the
start: see maaledu.checks.
"""

import ssl
from datetime import timedelta
from importlib.util import find_spec
from logging import getLevelNamesMapping
from math import ceil
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.module_loading import import_string

from maaledu.anonymity import Anonymizer
from maaledu.version import VERSION

BASE_DIR = Path(__file__).resolve().parent.parent
ENV_FILE = BASE_DIR / ".env"
env = environ.Env()
env.read_env(ENV_FILE)
# A value that begins with “$” would be read as the name of another variable, and so as nothing:
# with each “$” escaped, every value is read as it is written.
env.ENVIRON = {name: value.replace("$", r"\$") for name, value in env.ENVIRON.items()}
env.escape_proxy = True
Number = TypeVar("Number", int, float)


# What was read, and the smallest value that makes sense: see maaledu.setting_rules.
NUMBERS: dict[str, tuple[float, float]] = {}


def _number(name: str, default: Number, *, least: float | None = None) -> Number:
    """Return a number; an empty variable, as compose files leave them, counts as not set."""
    given = env.str(name, default="")
    try:
        value = type(default)(given or default)
    except ValueError:
        raise ImproperlyConfigured(f"Set {name} to a number; “{given}” is none.") from None
    if least is not None:
        NUMBERS[name] = (value, least)
    return value


ON, OFF = ("true", "on", "ok", "y", "yes", "1"), ("false", "off", "no", "n", "0")


def _switch(name: str, *, default: bool) -> bool:
    """Return a switch. As with numbers, an empty one is not set; a misspelt one is not off."""
    given = env.str(name, default="").strip().lower()
    if given and given not in (*ON, *OFF):
        raise ImproperlyConfigured(f"Set {name} to true or false; “{given}” is neither.")
    return given in ON if given else default


# --- where this runs ------------------------------------------------------------------------------
ENVIRONMENT = env.str("MAALEDU_ENV", default="development")
# Here and not in a check, so that no entrance starts as development, with published keys.
if ENVIRONMENT not in ("development", "production"):
    raise ImproperlyConfigured(
        f"Set MAALEDU_ENV to development or production; “{ENVIRONMENT}” is neither."
    )
PRODUCTION = ENVIRONMENT == "production"
DEBUG = _switch("DEBUG", default=False)
# Published with the source: production refuses to start with it.
INSECURE_SECRET_KEY = "django-insecure-for-demo-and-tests-never-for-production"  # noqa: S105
SECRET_KEY = (
    env.str("SECRET_KEY", default="" if PRODUCTION else INSECURE_SECRET_KEY) or INSECURE_SECRET_KEY
)
# Keys of before, which still open what they have signed: cookies, links, sessions.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"]
)
SITE_NAME = env.str("SITE_NAME", default="MaalEdu")
SITE_URL = env.str("SITE_URL", default="" if PRODUCTION else "http://127.0.0.1:8700").rstrip("/")
EXAMPLE_SUPPORT_EMAIL = "support@devhb.com"  # production does not start with it
SUPPORT_EMAIL = env.str("SUPPORT_EMAIL", default=EXAMPLE_SUPPORT_EMAIL)
SECURITY_EMAIL = env.str("SECURITY_EMAIL", default="") or SUPPORT_EMAIL
# Who sells, on every page, mail and invoice; production does not start with the example's.
EXAMPLE_SELLER = {
    "COMPANY_NAME": "Example Learning Ltd.",
    "COMPANY_ADDRESS": "1 Example Street; 10000 Example City; Nowhere",
    "COMPANY_TAX_ID": "XX000000000",
    "COMPANY_PHONE": "+1 555 0100",
}
_seller = {name: "" if PRODUCTION else value for name, value in EXAMPLE_SELLER.items()}
COMPANY_NAME = env.str("COMPANY_NAME", default=_seller["COMPANY_NAME"])
COMPANY_ADDRESS = env.str("COMPANY_ADDRESS", default=_seller["COMPANY_ADDRESS"])
COMPANY_TAX_ID = env.str("COMPANY_TAX_ID", default=_seller["COMPANY_TAX_ID"])
COMPANY_PHONE = env.str("COMPANY_PHONE", default=_seller["COMPANY_PHONE"])
# Where the demo's tour is, which its pages then link to.
DEMO_TOUR_URL = env.str("DEMO_TOUR_URL", default="")
REFUND_DAYS = _number("REFUND_DAYS", 14, least=0)  # what the pages promise; 0 promises nothing
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Origins of pages elsewhere that may call the API, with a key and never with a session.
CORS_ALLOWED_ORIGINS = env.list("API_CORS_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_METHODS = ["GET", "POST"]
CORS_ALLOW_HEADERS = ["authorization", "content-type", "idempotency-key", "x-request-id"]
CORS_EXPOSE_HEADERS = [
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Retry-After",
    "Idempotent-Replayed",
    "X-Request-ID",
]
# How many reverse proxies in front of us append to X-Forwarded-For; 0 ignores the header
# (decisions: client address).
TRUSTED_PROXY_COUNT = _number("TRUSTED_PROXY_COUNT", 0)

# --- applications ---------------------------------------------------------------------------------
DATABASE_URL = env.str("DATABASE_URL", default="") or f"sqlite:///{BASE_DIR / 'db.sqlite3'}"
MONGODB = DATABASE_URL.startswith("mongodb")
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "maaledu.mongo_apps.MongoAdminConfig" if MONGODB else "maaledu.office_app.OfficeAdminConfig",
    "maaledu.mongo_apps.MongoAuthConfig" if MONGODB else "django.contrib.auth",
    "maaledu.mongo_apps.MongoContentTypesConfig" if MONGODB else "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sitemaps",
    "django.contrib.staticfiles",
    "allauth",
    "maaledu.mongo_apps.MongoAccountConfig" if MONGODB else "allauth.account",
    "maaledu.mongo_apps.MongoMfaConfig" if MONGODB else "allauth.mfa",
    "django_htmx",
    "csp",
    "anymail",
    "corsheaders",
    "maaledu",
    "accounts",
    "courses",
    "notifications",
    "grants",
    "affiliates",
    "lms_sync",
    "enrollments",
    "payments",
    "legacy",
    "storefront",
    "office",
    "operations",
    "api",
    "demo",
]
MIDDLEWARE = [
    "operations.middleware.WatchMiddleware",
    "maaledu.middleware.RequestContextMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "affiliates.middleware.ReferralMiddleware",
    "maaledu.middleware.PublicPageMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "maaledu.middleware.SecurityHeadersMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.middleware.OurSiteMiddleware",
    "accounts.middleware.OfficeMiddleware",
    "maaledu.middleware.ErrorMiddleware",
]
ROOT_URLCONF = "maaledu.urls"
WSGI_APPLICATION = "maaledu.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "maaledu.http.site",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = (
    "django_mongodb_backend.fields.ObjectIdAutoField"
    if MONGODB
    else "django.db.models.BigAutoField"
)

# --- database -------------------------------------------------------------------------------------
DATABASE_POOL_MAX = _number("DATABASE_POOL_MAX", 10, least=1)
DATABASE_POOL_MIN = _number("DATABASE_POOL_MIN", 1, least=0)
DATABASE_POOL_SECONDS = 5  # for which a thread waits for a connection
DATABASE_STATEMENT_SECONDS = _number("DATABASE_STATEMENT_SECONDS", 30, least=1)
DATABASE_LOCK_SECONDS = 10
DATABASE_IDLE_IN_TRANSACTION_SECONDS = 60
SQLITE_BUSY_SECONDS = 20
MONGODB_FIND_SERVER_SECONDS = 5


def _database() -> dict:
    if MONGODB:
        return _mongodb_database()
    config = env.db_url_config(DATABASE_URL)
    return (
        _sqlite_database(config)
        if config["ENGINE"].endswith("sqlite3")
        else _postgresql_database(config)
    )


def _mongodb_database() -> dict:
    options = {
        "serverSelectionTimeoutMS": MONGODB_FIND_SERVER_SECONDS * 1000,
        "connectTimeoutMS": 3000,
        "maxPoolSize": DATABASE_POOL_MAX,
        "minPoolSize": DATABASE_POOL_MIN,
        # The driver's own default is to wait for ever.
        "socketTimeoutMS": DATABASE_STATEMENT_SECONDS * 1000,
    }
    name = urlsplit(DATABASE_URL).path.strip("/") or "maaledu"
    return {
        "ENGINE": "maaledu.mongodb_engine",
        "HOST": DATABASE_URL,
        "NAME": name,
        "OPTIONS": options,
    }


def _sqlite_database(config: dict) -> dict:
    # FULL: a commit is on the disk when it returns, so that a power cut loses no payment. The write
    # lock is taken at BEGIN: a transaction that reads first could not wait for it later.
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    options = {
        "transaction_mode": "IMMEDIATE",
        "timeout": SQLITE_BUSY_SECONDS,
        "init_command": pragmas,
    }
    return {**config, "CONN_MAX_AGE": None, "OPTIONS": options}


def _postgresql_database(config: dict) -> dict:
    limits = {
        "statement_timeout": DATABASE_STATEMENT_SECONDS,
        "lock_timeout": DATABASE_LOCK_SECONDS,
        "idle_in_transaction_session_timeout": DATABASE_IDLE_IN_TRANSACTION_SECONDS,
    }
    options = {
        **config.get("OPTIONS", {}),
        "options": " ".join(f"-c {name}={seconds}s" for name, seconds in limits.items()),
        "connect_timeout": 3,
        "pool": {
            "min_size": DATABASE_POOL_MIN,
            "max_size": DATABASE_POOL_MAX,
            "timeout": DATABASE_POOL_SECONDS,
        },
    }
    # The health check lets a request survive a restart of the database: a dead connection is
    # replaced before its use.
    return {**config, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}


# Where `manage.py backup` puts them unless told otherwise; empty: nowhere.
BACKUP_DIR = env.str("BACKUP_DIR", default="")
DATABASES = {"default": _database()}
if MONGODB:
    DATABASE_ROUTERS = ["django_mongodb_backend.routers.MongoRouter"]
    MIGRATION_MODULES = {
        "admin": "mongo_migrations.admin",
        "auth": "mongo_migrations.auth",
        "contenttypes": "mongo_migrations.contenttypes",
        "account": "mongo_migrations.account",
        "mfa": "mongo_migrations.mfa",
    }

# --- cache, limits, Celery: Redis where given, one machine otherwise ------------------------------
REDIS_URL = env.str("REDIS_URL", default="")
if REDIS_URL:
    _redis = {
        "BACKEND": "maaledu.cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "maaledu",
        "OPTIONS": {"SOCKET_TIMEOUT": 0.5, "SOCKET_CONNECT_TIMEOUT": 0.5},
    }
    CACHES = {"default": _redis, "pages": {**_redis, "KEY_PREFIX": "maaledu-pages"}}
else:
    # Two caches, so that many different pages cannot evict the counters of the limits.
    _memory = "django.core.cache.backends.locmem.LocMemCache"
    CACHES = {
        "default": {"BACKEND": _memory, "OPTIONS": {"MAX_ENTRIES": 50_000}},
        "pages": {"BACKEND": _memory, "LOCATION": "pages", "OPTIONS": {"MAX_ENTRIES": 300}},
    }
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL)
if CELERY_BROKER_URL.startswith("rediss:"):
    # Celery would take any certificate.
    CELERY_BROKER_USE_SSL = {"ssl_cert_reqs": ssl.CERT_REQUIRED}
# Messages; each only says that a table has work.
BROKER_LONGEST_QUEUE = 200
RATELIMIT_USE_CACHE = "default"
RATELIMIT_FAIL_OPEN = True
# W027: MongoDB has no check constraints; the writes themselves hold what they say
# (affiliates.payouts). W021: a place on the browsers' list is hard to leave, so it is asked for
# by HSTS_PRELOAD only.
SILENCED_SYSTEM_CHECKS = [
    "django_ratelimit.E003",
    "django_ratelimit.W001",
    "models.W027",
    "security.W021",
]
PUBLIC_PAGE_LIFETIME = timedelta(minutes=5)  # requirements R197: course list 5 min
PUBLIC_PAGE_RECHECK = timedelta(seconds=1)
LEARNER_DASHBOARD_LIFETIME = timedelta(minutes=2)  # R197

# --- accounts -------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    # The old platform's: verified once, at the first sign-in, which stores Argon2.
    "accounts.old_passwords.OldPlatformHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_FORMS = {
    "login": "accounts.forms.LoginForm",
    "signup": "accounts.forms.SignupForm",
    "add_email": "accounts.forms.AddEmailForm",
    "reset_password": "accounts.forms.ResetPasswordForm",
    "request_login_code": "accounts.forms.RequestLoginCodeForm",
}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
# Signing in by a code alone, beside the password (accounts.sign_in_codes).
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
# Our own limits come first (RATE_LIMITS, accounts.urls); allauth counts by mailbox or person only.
# Three codes may go to one mailbox at once: sign up, ask again, or cancel and sign in.
ACCOUNT_RATE_LIMITS = {
    "login": None,
    "login_failed": None,
    "signup": None,
    "reset_password": "5/15m/key",
    "confirm_email": "3/30s/key",
    "request_login_code": "5/15m/key",
}
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # a reset code goes to known addresses only
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT = ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = int(
    timedelta(minutes=15).total_seconds()
)
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT
ACCOUNT_REAUTHENTICATION_TIMEOUT = int(timedelta(minutes=5).total_seconds())
# Whether the office asks everybody for a second factor; whoever has one is asked at any sign-in.
OFFICE_SECOND_FACTOR = _switch("OFFICE_SECOND_FACTOR", default=PRODUCTION)
MFA_ADAPTER = "accounts.second_factor_adapter.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1  # half minutes, while an app is set up; later see accounts.second_factor
MFA_FORMS = {
    "authenticate": "accounts.second_factor_forms.AuthenticateForm",
    "reauthenticate": "accounts.second_factor_forms.ReauthenticateForm",
    "activate_totp": "accounts.second_factor_forms.ActivateTotpForm",
    "authenticate_webauthn": "accounts.second_factor_forms.AuthenticatePasskeyForm",
    "reauthenticate_webauthn": "accounts.second_factor_forms.ReauthenticatePasskeyForm",
}
KNOWN_BROWSER_COOKIE_NAME = "__Host-browser" if PRODUCTION else "browser"
KNOWN_BROWSER_LIFETIME = timedelta(days=365)
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "account"
ACCOUNT_LOGOUT_REDIRECT_URL = "catalogue"
SESSION_COOKIE_AGE = int(timedelta(days=7).total_seconds())  # requirement R018
# Not in the cache: signing out must hold while the cache is down.
SESSION_ENGINE = "django.contrib.sessions.backends.db"

# --- Stripe ---------------------------------------------------------------------------------------
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="" if PRODUCTION else "sk_test_sandbox")
STRIPE_WEBHOOK_SECRETS = env.list(
    "STRIPE_WEBHOOK_SECRET", default=[] if PRODUCTION else ["whsec_sandbox"]
)
STRIPE_API_BASE = env.str(
    "STRIPE_API_BASE", default="" if PRODUCTION else "http://127.0.0.1:8701/stripe"
)
STRIPE_LIVEMODE = _switch("STRIPE_LIVEMODE", default=PRODUCTION)
# The host of Stripe's payment page where the account has a domain of its own for it.
STRIPE_CHECKOUT_HOST = env.str("STRIPE_CHECKOUT_HOST", default="")
# An invoice with a PDF for each purchase, on which the buyer may put a company name and a tax id.
STRIPE_INVOICES = _switch("STRIPE_INVOICES", default=False)
# Tax worked out by Stripe, always within the price: nobody pays more than the page showed.
STRIPE_TAX = _switch("STRIPE_TAX", default=False)
STRIPE_PAY_PAGES = [
    "https://checkout.stripe.com",
    *([f"https://{STRIPE_CHECKOUT_HOST}"] if STRIPE_CHECKOUT_HOST else []),
    *([] if PRODUCTION else ["http://127.0.0.1:*", "http://localhost:*"]),
]
STRIPE_API_VERSION = "2026-10-28.endive"
STRIPE_CONNECT_SECONDS = 3.05
STRIPE_READ_SECONDS = _number("STRIPE_READ_SECONDS", 10.0, least=0.1)
# Nobody can buy, and every page of the checkout says so: while the old platform still sells.
CHECKOUT_CLOSED = _switch("CHECKOUT_CLOSED", default=False)
# The old platform's database, for `manage.py import_legacy live`; its user needs to read alone.
LEGACY_DATABASE_URL = env.str("LEGACY_DATABASE_URL", default="")
STRIPE_INTERACTIVE_SECONDS = 4.0  # where somebody waits for the page
# How many threads of a web process, of gunicorn's 8, may wait for Stripe at the same time.
STRIPE_CALLS_AT_ONCE = _number("STRIPE_CALLS_AT_ONCE", 4, least=1)
STRIPE_MAX_RETRIES = _number("STRIPE_MAX_RETRIES", 1, least=0)
# How long a checkout may be paid, and a coupon stays reserved for it. Stripe wants 30 min by its
# own clock: that leaves 5 min for ours to be slow, and 45 s to repeat the request.
STRIPE_SESSION_LIFETIME = timedelta(minutes=36)
STRIPE_RESUME_WINDOW = timedelta(seconds=45)
STRIPE_SIGNATURE_TOLERANCE = timedelta(seconds=300)
# How long after the session's end the sweep asks Stripe about an unpaid enrollment.
PENDING_GRACE = timedelta(minutes=2)

# After how many minutes a paid enrollment without access gets an e-mail that it follows; 0: none.
PAID_WITHOUT_ACCESS_MAIL_AFTER = _number("PAID_WITHOUT_ACCESS_MAIL_AFTER", 10, least=0)

# --- LMS ------------------------------------------------------------------------------------------
FRAPPE_LMS_BASE_URL = env.str(
    "FRAPPE_LMS_BASE_URL", default="" if PRODUCTION else "http://127.0.0.1:8701/lms"
).rstrip("/")
FRAPPE_LMS_API_KEY = env.str(
    "FRAPPE_LMS_API_KEY", default="" if PRODUCTION else "sandbox-key:sandbox-secret"
)
FRAPPE_DRIVER = env.str("FRAPPE_DRIVER", default="rest")
# Open edX; left empty, there is none, and no course on it can be sold.
OPENEDX_BASE_URL = env.str(
    "OPENEDX_BASE_URL", default="" if PRODUCTION else "http://127.0.0.1:8701/edx"
).rstrip("/")
OPENEDX_CLIENT_ID = env.str("OPENEDX_CLIENT_ID", default="" if PRODUCTION else "sandbox-client")
OPENEDX_CLIENT_SECRET = env.str(
    "OPENEDX_CLIENT_SECRET", default="" if PRODUCTION else "sandbox-edx-secret"
)
# The mode that buyers are enrolled in, and other modes of single courses: KEY=MODE,KEY=MODE.
OPENEDX_MODE = env.str("OPENEDX_MODE", default="verified")
OPENEDX_COURSE_MODES = env.dict("OPENEDX_COURSE_MODES", default={})
# Whether buyers get in after the enrollment has ended, before it begins, and by invitation.
OPENEDX_FORCE_ENROLLMENT = _switch("OPENEDX_FORCE_ENROLLMENT", default=True)
OPENEDX_COURSE_URL = env.str("OPENEDX_COURSE_URL", default="{base_url}/courses/{course_id}/course/")
# Hosts of the LMS that may resolve to a private address in production, such as one on our own
# network.
# What the customer's own method is told of the price and the grant (requirement R061); off for
# methods that refuse fields they do not know.
FRAPPE_GRANT_FIELDS = _switch("FRAPPE_GRANT_FIELDS", default=True)
# Of the one address that LMS 2.43 to 2.53 wants on the payments of its paid courses.
FRAPPE_PAYMENT_COUNTRY = env.str("FRAPPE_PAYMENT_COUNTRY", default="United States")
# A user that was disabled in Frappe cannot sign in: enabled for who buys, or the job is held.
FRAPPE_ENABLE_USERS = _switch("FRAPPE_ENABLE_USERS", default=True)
# Frappe's own mail to a new user, with a link to set a password.
FRAPPE_WELCOME_MAIL = _switch("FRAPPE_WELCOME_MAIL", default=False)
LMS_PRIVATE_HOSTS = env.list("LMS_PRIVATE_HOSTS", default=[])
LMS_COURSE_URL = env.str("LMS_COURSE_URL", default="{base_url}/lms/courses/{course_id}")
LMS_CERTIFICATE_URL = env.str(
    "LMS_CERTIFICATE_URL", default="{base_url}/courses/{course_id}/{certificate_id}"
)
LMS_CONNECT_TIMEOUT = timedelta(seconds=3)
LMS_TIMEOUT_WORKER = timedelta(seconds=_number("LMS_TIMEOUT_WORKER_SECONDS", 15.0, least=0.1))
LMS_TIMEOUT_INTERACTIVE = timedelta(seconds=10)
LMS_SECOND_ATTEMPT_AFTER = timedelta(seconds=2)  # decisions: immediate second attempt
# Decisions, "backoff"; doubled after each of the background attempts.
LMS_BACKOFF_BASE = timedelta(minutes=2)
LMS_BACKOFF_LONGEST = timedelta(minutes=60)
LMS_BACKGROUND_ATTEMPTS = 5
# A stock Frappe gives up a request after 120 s. Until then a create whose answer was lost may take
# effect, so it is not sent again; a good while later it is looked whether it did so twice.
LMS_LOST_CREATE_WAIT = timedelta(seconds=_number("LMS_LOST_CREATE_WAIT_SECONDS", 130, least=0))
LMS_LOOK_AGAIN_AFTER = timedelta(minutes=10)
LMS_BREAKER_FAILURES = 3
LMS_BREAKER_OPEN_SECONDS = _number("LMS_BREAKER_OPEN_SECONDS", 60, least=0)
# How often one LMS is called, and for how many jobs at the same time, by all processes together.
# After an outage the rate rises in steps: an eighth, a fourth, a half, the whole.
LMS_CALLS_PER_SECOND = _number("LMS_CALLS_PER_SECOND", 10.0, least=0.1)
# Open edX takes 120 calls a minute of one user, and counts two of the three that enroll somebody.
OPENEDX_CALLS_PER_SECOND = _number("OPENEDX_CALLS_PER_SECOND", 3.0, least=0.1)
LMS_CALLS_AT_ONCE = _number("LMS_CALLS_AT_ONCE", 5, least=1)
LMS_RAMP_STEP = timedelta(seconds=15)
# What asks the LMS beside the jobs: whether it answers, and how far learners are. A learner is
# asked about this long after the last answer, and soon when they look at My courses.
LMS_CHORES_EVERY = timedelta(seconds=5)
LMS_PROGRESS_EVERY = timedelta(hours=6)
LMS_PROGRESS_RETRY = timedelta(minutes=10)
LMS_PROGRESS_ROUND = timedelta(seconds=20)  # after which a round asks about nobody else
LMS_PROGRESS_PER_MINUTE = _number("LMS_PROGRESS_PER_MINUTE", 60, least=0)
LMS_PROGRESS_PER_ROUND = ceil(LMS_PROGRESS_PER_MINUTE * (LMS_CHORES_EVERY / timedelta(minutes=1)))
# What the LMS says of a course is asked for one course a round, and again as long after.
LMS_COURSE_FACTS_EVERY = timedelta(hours=24)
LMS_COURSE_FACTS_RETRY = timedelta(minutes=30)
# How often each process adds the calls that it counted to the rows, and how long these are kept.
LMS_FIGURES_EVERY = timedelta(seconds=_number("LMS_FIGURES_SECONDS", 10.0, least=0))
LMS_FIGURES_HOURS_KEPT = timedelta(days=14)
LMS_FIGURES_DAYS_KEPT = timedelta(days=400)
# For a learner without an account there: the pause between two looks while they wait for less.
LMS_ACCOUNT_LOOKS = (
    (timedelta(minutes=10), timedelta(seconds=10)),
    (timedelta(hours=1), timedelta(minutes=1)),
    (timedelta(days=1), timedelta(minutes=10)),
    (timedelta(days=14), timedelta(hours=1)),
    (timedelta.max, timedelta(hours=12)),
)
LMS_ACCOUNTS_PER_CALL = 100  # learners without one yet, of whom one call a round asks
# Each night our enrollments are compared with each LMS's: this many a page, by this part of the
# calls that the LMS may get, which waits this long at most while others need them.
LMS_COMPARE_PAGE = 100
LMS_COMPARE_SHARE = 0.25
LMS_COMPARE_PATIENCE = timedelta(minutes=10)

# --- grants ---------------------------------------------------------------------------------------
GRANT_ANSWER_WORKING_DAYS = _number("GRANT_ANSWER_WORKING_DAYS", 10)
GRANT_REMINDER_DAYS = (7, 1)
GRANT_DEFAULT_LIFETIME = timedelta(days=60)
COUPON_GIVE_BACK_LIFETIME = timedelta(days=_number("COUPON_GIVE_BACK_DAYS", 14, least=1))
REFUSALS_KEPT = timedelta(days=90)
REFUSALS_MOST = 1000  # guesses, and as many of the other refusals again
# queue | rollback
FREE_GRANT_ON_LMS_FAILURE = env.str("FREE_GRANT_ON_LMS_FAILURE", default="queue")
# Learners of one list; and how many of a list's jobs may be open at a platform, which is what a
# purchase waits behind, and what one call enrolls where the platform has one for many.
BATCH_MOST_ROWS = 5000
BATCH_AHEAD = 50
CRON_SECRET = env.str("CRON_SECRET", default="")
# After which a call begins no further job: schedulers give up, commonly after 30 s or a minute.
CRON_RUN_BUDGET = timedelta(seconds=20)

# --- affiliates (decisions: commission, commission life, payouts, attribution) --------------------
# Of a new affiliate; each has its own.
AFFILIATE_RATE_BASIS_POINTS = _number("AFFILIATE_RATE_BASIS_POINTS", 1000)
AFFILIATE_AUTO_APPROVE = _switch("AFFILIATE_AUTO_APPROVE", default=True)
COMMISSION_CAP = env.str("COMMISSION_CAP", default="none")  # none | amount_paid
COMMISSION_HOLD = timedelta(days=_number("COMMISSION_HOLD_DAYS", 30, least=0))
PAYOUT_MINIMUM = _number("PAYOUT_MINIMUM", 5000)  # minor units
# The day of the month on which payouts are prepared, as affiliates read it; 31 is its last day.
PAYOUT_DAY = _number("PAYOUT_DAY", 1, least=1)
ATTRIBUTION_LIFETIME = timedelta(days=_number("ATTRIBUTION_DAYS", 30, least=1))
ATTRIBUTION_MODEL = env.str("ATTRIBUTION_MODEL", default="last_click")  # last_click | first_click
REFERRAL_VISITS_KEPT = timedelta(days=90)
REFERRAL_COOKIE_NAME = "__Host-ref" if PRODUCTION else "ref"
PARTNER_COOKIE_NAME = "__Host-partner" if PRODUCTION else "partner"
# The first key seals, all of them open: put a new one in front to roll it. Made by `script/setup`.
INSECURE_DETAILS_KEY = "ZGV2ZWxvcG1lbnQtb25seS1rZXktbm90LWEtc2VjcmU="
DETAILS_KEYS = env.list("DETAILS_KEYS", default=[] if PRODUCTION else [INSECURE_DETAILS_KEY])
REVOKE_ON_REFUND = _switch("REVOKE_ON_REFUND", default=True)
# How long a refund that Stripe has not confirmed waits before it is asked about.
REFUND_RESUME_AFTER = timedelta(minutes=2)
FRAUD_PURCHASES_OF_ONE_ADDRESS = 5
FRAUD_REFUND_PERCENT = 30
FRAUD_LEAST_SALES = 5
FRAUD_GRANT_PERCENT = 90

# --- work machine ---------------------------------------------------------------------------------
WORK_BATCH = 10
WORK_LEASE_MARGIN = timedelta(seconds=_number("WORK_LEASE_MARGIN_SECONDS", 60.0, least=0))
WORK_MAX_LAPSES = 5
WORK_POLL = timedelta(seconds=1)
WORK_SWEEP_EVERY = timedelta(seconds=_number("WORK_SWEEP_SECONDS", 60.0, least=0.1))
WORK_TICK = timedelta(seconds=2)  # how often beat has each queue looked at, notified or not
# By the clock: an interval of a day would start anew with every deployment.
NIGHTLY_AT = {"hour": 3, "minute": 17}
WORK_DRAIN_BUDGET = timedelta(seconds=5)
WORK_KEEP_FINISHED = timedelta(days=90)
WORK_STUCK_AFTER = timedelta(hours=24)
# How often it is looked whether work gets done (decisions: every 5 min at least), also by a web
# process when the scheduler is silent; and for how long what went wrong stays on the status page.
WATCH_EVERY = timedelta(minutes=1)
HEARTBEAT_EVERY = timedelta(seconds=30)  # at most, for each process
WATCH_FROM_WEB = True
TROUBLES_KEPT = timedelta(days=90)
ALERTS_KEPT = timedelta(days=365)
# Who may read /metrics, and the details of /health/: with `Authorization: Bearer <token>`, or from
# these networks.
MONITOR_TOKEN = env.str("MONITOR_TOKEN", default="")
MONITOR_NETWORKS = env.list("MONITOR_NETWORKS", default=[])
# Where the processes of this machine count together for /metrics; prometheus-client reads it, too.
METRICS_DIR = env.str("PROMETHEUS_MULTIPROC_DIR", default="")
# How long the figures of /metrics that the database sums up are used again.
METRICS_FIGURES_FOR = timedelta(seconds=30)
LMS_WORKER_THREADS = _number("LMS_WORKER_THREADS", 3, least=1)

CELERY_BEAT_SCHEDULE = {
    **{
        f"drain-{name}": {
            "task": "operations.drain",
            "schedule": WORK_TICK,
            "args": [name],
            "options": {"expires": WORK_TICK.seconds + 1},
        }
        for name in ("stripe", "batches", "lms", "emails", "alerts")
    },
    "sweep": {
        "task": "operations.sweep",
        "schedule": WORK_SWEEP_EVERY,
        "options": {"expires": WORK_SWEEP_EVERY.total_seconds()},
    },
    "lms-chores": {
        "task": "operations.lms_chores",
        "schedule": LMS_CHORES_EVERY,
        "options": {"expires": LMS_CHORES_EVERY.seconds + 1},
    },
    "watch": {
        "task": "operations.watch",
        "schedule": WATCH_EVERY,
        "options": {"expires": WATCH_EVERY.total_seconds()},
    },
}
if CELERY_BROKER_URL:
    # By its name: only who has a broker loads Celery, which is a tenth of a start.
    CELERY_BEAT_SCHEDULE["nightly"] = {
        "task": "operations.nightly",
        "schedule": import_string("celery.schedules.crontab")(**NIGHTLY_AT),
        "options": {"expires": 3600},
    }

# --- e-mail ---------------------------------------------------------------------------------------
# What Django or allauth sends goes into the outbox first; the worker gives it to the delivery
# backend.
EMAIL_BACKEND = "notifications.backend.OutboxBackend"
EMAIL_DELIVERY_BACKEND = env.str(
    "EMAIL_DELIVERY_BACKEND", default="django.core.mail.backends.smtp.EmailBackend"
)
EMAIL_HOST = env.str("EMAIL_HOST", default="" if PRODUCTION else "127.0.0.1")
EMAIL_PORT = _number("EMAIL_PORT", 587 if PRODUCTION else 8702, least=1)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_SSL = _switch("EMAIL_USE_SSL", default=False)
EMAIL_USE_TLS = _switch("EMAIL_USE_TLS", default=PRODUCTION and not EMAIL_USE_SSL)
EMAIL_TIMEOUT = _number("EMAIL_TIMEOUT_SECONDS", 10, least=1)
ANYMAIL = {
    "SENDGRID_API_KEY": env.str("SENDGRID_API_KEY", default=""),
    # The public key of its signed events; without it their address is closed.
    "SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY": env.str("SENDGRID_WEBHOOK_KEY", default=""),
}
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default=f"{SITE_NAME} <courses@maaledu.example>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
STAFF_ALERT_EMAILS = env.list(
    "STAFF_ALERT_EMAILS", default=[] if PRODUCTION else ["staff@maaledu.example"]
)
# Who gets the reports of the day, week and month; nobody if empty.
REPORT_EMAILS = env.list("REPORT_EMAILS", default=[])
# Further ways to alert staff; the one for webhooks is signed, or PagerDuty's by its routing key.
SLACK_WEBHOOK_URL = env.str("SLACK_WEBHOOK_URL", default="")
ALERT_WEBHOOK_URL = env.str("ALERT_WEBHOOK_URL", default="")
ALERT_WEBHOOK_SECRET = env.str("ALERT_WEBHOOK_SECRET", default="")
ALERT_WEBHOOK_ROUTING_KEY = env.str("ALERT_WEBHOOK_ROUTING_KEY", default="")
EMAIL_MAX_PER_MINUTE = _number("EMAIL_MAX_PER_MINUTE", 0, least=0)  # 0: no limit of ours

# --- limits (decisions: rate limits), as django-ratelimit rates -----------------------------------
RATE_LIMITS = {
    "coupon": env.str("RATE_LIMIT_COUPON", default="5/15m"),
    "coupon_email": env.str("RATE_LIMIT_COUPON_EMAIL", default="20/1d"),
    "grant_application": env.str("RATE_LIMIT_GRANT_APPLICATION", default="5/1h"),
    "affiliate_signup": env.str("RATE_LIMIT_AFFILIATE_SIGNUP", default="5/1h"),
    "referral_address": env.str("RATE_LIMIT_REFERRAL_ADDRESS", default="60/1h"),
    "checkout": env.str("RATE_LIMIT_CHECKOUT", default="10/15m"),
    "api": env.str("RATE_LIMIT_API", default="10/60s"),
    "login": env.str("RATE_LIMIT_LOGIN", default="10/15m"),
    "login_account": env.str("RATE_LIMIT_LOGIN", default="10/15m"),
    "signup": env.str("RATE_LIMIT_SIGNUP", default="20/1h"),
    "password_reset": env.str("RATE_LIMIT_PASSWORD_RESET", default="10/15m"),
    "code_request": env.str("RATE_LIMIT_CODE_REQUEST", default="10/15m"),
    "links_again": env.str("RATE_LIMIT_LINKS_AGAIN", default="5/15m"),
    "links_again_email": env.str("RATE_LIMIT_LINKS_AGAIN_EMAIL", default="3/1h"),
    "code": env.str("RATE_LIMIT_CODE", default="30/15m"),
    "second_factor": env.str("RATE_LIMIT_SECOND_FACTOR", default="10/15m"),
    "status": env.str("RATE_LIMIT_STATUS", default="600/1m"),
}
# What somebody could guess is limited while Redis is lost or full, too.
RATE_LIMITS_ALWAYS_COUNTED = {
    "code",
    "code_request",
    "coupon",
    "coupon_email",
    "login",
    "login_account",
    "password_reset",
    "second_factor",
}
IDEMPOTENCY_KEPT = timedelta(hours=24)
PAGE_SIZE = 20  # decisions: pages of lists
PAGE_SIZE_MOST = 50
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024  # of any request, a webhook too
DATA_UPLOAD_MAX_NUMBER_FIELDS = 400  # a course has one for each row, of which it may have 290

# --- security -------------------------------------------------------------------------------------
SECURE_SSL_REDIRECT = _switch("SECURE_SSL_REDIRECT", default=PRODUCTION)
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = _number("HSTS_SECONDS", 31_536_000 if PRODUCTION else 0, least=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = _switch("HSTS_INCLUDE_SUBDOMAINS", default=PRODUCTION)  # R173
SECURE_HSTS_PRELOAD = _switch("HSTS_PRELOAD", default=False)
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PRODUCTION
SESSION_COOKIE_NAME = "__Host-sessionid" if PRODUCTION else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if PRODUCTION else "csrftoken"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "maaledu.http.csrf_failure"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        # A checkout form is answered by a redirect to Stripe's page, which browsers count as part
        # of the form's action.
        "form-action": [SELF, *STRIPE_PAY_PAGES],
    }
}

# The office's interface evaluates expressions in the page; only signed-in staff see it.
OFFICE_PATH = "/admin/"
_htmx_indicator_style = "'sha256-bsV5JivYxvGywDAZ22EZJKBFip65Ng9xoJVLbBg7bdo='"
OFFICE_SECURITY_POLICY = {
    "script-src": [SELF, UNSAFE_EVAL],
    "style-src": [SELF, _htmx_indicator_style],
    # Style attributes alone, not sheets: its own templates and charts have some 2,000 of them.
    "style-src-attr": [UNSAFE_INLINE],
    "form-action": [SELF],
}

# --- language, time, static files -----------------------------------------------------------------
# The one language of the shop's pages and mails: docs/translating.md.
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="") or "en"
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "maaledu.formats"
STATIC_URL = "static/"
# Where collectstatic puts what production serves; elsewhere files are served from where they are.
STATIC_ROOT = (
    (env.str("STATIC_ROOT", default="") or BASE_DIR / "staticfiles") if PRODUCTION else None
)
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    # What staff upload, such as portraits of instructors: small pictures, kept in the database.
    "default": {"BACKEND": "courses.pictures.PictureStorage"},
    "staticfiles": {
        "BACKEND": "maaledu.static_files.ReleasesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
# The icons that browsers and phones request by themselves.
WHITENOISE_ROOT = BASE_DIR / "static" / "root"

# --- logs -----------------------------------------------------------------------------------------
LOG_LEVEL = (env.str("LOG_LEVEL", default="") or "INFO").upper()
if LOG_LEVEL not in getLevelNamesMapping():
    raise ImproperlyConfigured(f"Set LOG_LEVEL to INFO, WARNING or ERROR; “{LOG_LEVEL}” is none.")
LOG_JSON = _switch("LOG_JSON", default=PRODUCTION)
LOGGING_CONFIG = "maaledu.logs.configure"
_secrets = [
    SECRET_KEY,
    *SECRET_KEY_FALLBACKS,
    STRIPE_SECRET_KEY,
    *STRIPE_WEBHOOK_SECRETS,
    FRAPPE_LMS_API_KEY,
    OPENEDX_CLIENT_SECRET,
    EMAIL_HOST_PASSWORD,
    CRON_SECRET,
    MONITOR_TOKEN,
    SLACK_WEBHOOK_URL,
    ALERT_WEBHOOK_URL,
    ALERT_WEBHOOK_SECRET,
    ALERT_WEBHOOK_ROUTING_KEY,
]
_secrets += [*FRAPPE_LMS_API_KEY.split(":"), ANYMAIL["SENDGRID_API_KEY"], *DETAILS_KEYS]
LOGGING = {"level": LOG_LEVEL, "json": LOG_JSON, "secrets": _secrets}

# --- errors and traces of others: optional, requirements-observability.txt ------------------------
# OpenTelemetry needs nothing here: `opentelemetry-instrument` and its own OTEL_… variables.
SENTRY_DSN = env.str("SENTRY_DSN", default="")
SENTRY_ERRORS_SHARE = _number("SENTRY_ERRORS_SHARE", 1.0, least=0)
SENTRY_TRACES_SHARE = _number("SENTRY_TRACES_SHARE", 0.0, least=0)
if SENTRY_DSN:
    if find_spec("sentry_sdk") is None:
        raise ImproperlyConfigured(
            "Install requirements-observability.txt, or leave SENTRY_DSN empty."
        )
    import_string("sentry_sdk.init")(
        dsn=SENTRY_DSN,
        environment=ENVIRONMENT,
        release=VERSION,
        sample_rate=SENTRY_ERRORS_SHARE,
        traces_sample_rate=SENTRY_TRACES_SHARE,
        send_default_pii=False,
        max_request_body_size="never",
        include_local_variables=False,
        max_breadcrumbs=0,
        before_send=Anonymizer(_secrets).error,
        before_send_transaction=Anonymizer(_secrets).transaction,
    )

# --- staff admin ----------------------------------------------------------------------------------
UNFOLD = {
    "SITE_TITLE": SITE_NAME,
    "SITE_HEADER": f"{SITE_NAME} office",
    "SITE_URL": "/",
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "operations.home.page.add_home",
    "SITE_DROPDOWN": [
        {"icon": "storefront", "title": "The shop", "link": "/"},
        {"icon": "id_card", "title": "Who sells", "link": reverse_lazy("office_seller")},
    ],
    "SIDEBAR": {"navigation": "operations.home.sidebar.navigation"},
    "COMMAND": {"search_callback": "office.learner_search.results"},
    "COLORS": lambda request: {},  # instead of an inline style, css/office.css
    "STYLES": [lambda request: static("css/office.css")],
    "SCRIPTS": [lambda request: static("js/office.js")],
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("img/favicon.svg")}
    ],
}

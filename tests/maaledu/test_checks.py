"""Production refuses to start for each single thing that is missing or unsafe, with a sentence that
names what to set.
"""

import ast
import re
import runpy
import subprocess
import threading

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from maaledu.checks import check_database, check_environment
from maaledu.database_setting_rules import OTHER_WORKER_THREADS, pool
from maaledu.settings import EXAMPLE_SELLER, INSECURE_DETAILS_KEY, INSECURE_SECRET_KEY
from operations import worker
from tests.engines import ROOT
from tests.processes import python

pytestmark = pytest.mark.no_database

GOOD = {
    "MAALEDU_ENV": "production",
    "SECRET_KEY": "k9X7mQ2pLr8vT4wZ6yB1nC5dF3gH0jS-aUeIoRtYuMnBvCxZqWp",
    "ALLOWED_HOSTS": "learn.example.com",
    "SITE_URL": "https://learn.example.com",
    "DATABASE_URL": "postgres://shop:not-a-real-one@127.0.0.1:1/shop",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "TRUSTED_PROXY_COUNT": "1",
    "STRIPE_SECRET_KEY": "sk_" + "live_0123456789abcdef",
    "STRIPE_WEBHOOK_SECRET": "whsec_" + "0123456789abcdef",
    "FRAPPE_LMS_BASE_URL": "https://lms.example.com",
    "FRAPPE_LMS_API_KEY": "0a1b2c3d4e5f6a7:7f6e5d4c3b2a190",
    "STAFF_ALERT_EMAILS": "staff@example.com",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/not-a-real-one",
    "EMAIL_HOST": "smtp.example.com",
    "DEFAULT_FROM_EMAIL": "Shop <courses@example.com>",
    "SUPPORT_EMAIL": "help@example.com",
    "COMPANY_NAME": "Check Ltd.",
    "COMPANY_ADDRESS": "2 High Street; London",
    "DETAILS_KEYS": "b25seS1mb3ItdGhlLWNoZWNrLW9mLXByb2R1Y3Rpb24=",
}
SELLER = ("SUPPORT_EMAIL", "COMPANY_NAME", "COMPANY_ADDRESS")
NOTHING_ELSE = {
    "PATH": "/usr/bin:/bin",
    "DJANGO_SETTINGS_MODULE": "maaledu.settings",
    "DEBUG": "false",
    "STRIPE_API_BASE": "",
}


def run(command: list[str], **changes: str | None) -> subprocess.CompletedProcess:
    environment = {**NOTHING_ELSE, **GOOD, **changes}
    given = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(
        command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.slow
def test_a_good_production_environment_passes_every_check():
    checked = run(python("manage.py", "check", "--deploy", "--fail-level", "WARNING"))
    assert (checked.returncode, checked.stdout.strip()) == (
        0,
        "System check identified no issues (1 silenced).",  # HSTS_PRELOAD, which is a choice
    )


@pytest.mark.slow
def test_the_web_server_starts_with_a_good_environment():
    assert run(python("-W", "ignore", "-c", "import maaledu.wsgi")).returncode == 0


@pytest.mark.slow
def test_the_web_server_does_not_start_with_an_empty_one_and_says_everything_at_once():
    started = run(
        python("-W", "ignore", "-c", "import maaledu.wsgi"),
        **dict.fromkeys(set(GOOD) - {"MAALEDU_ENV"}, ""),
    )
    assert started.returncode == 3
    named = (
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "SITE_URL",
        "STRIPE_SECRET_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "FRAPPE_LMS_BASE_URL",
    )
    for name in (*named, *SELLER, "FRAPPE_LMS_API_KEY", "STAFF_ALERT_EMAILS", "DETAILS_KEYS"):
        assert name in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("-m", "celery", "-A", "maaledu", "worker"), ("manage.py", "run_due_work")],
    ids=["celery", "command"],
)
def test_neither_a_worker_nor_a_command_starts_unsafely(command):
    started = run(python(*command), STRIPE_SECRET_KEY=None)
    assert started.returncode != 0
    assert "Set STRIPE_SECRET_KEY" in started.stderr


@pytest.mark.slow
def test_production_speaks_to_the_port_of_a_mail_server_that_was_named_only():
    shown = run(
        python(
            "-c",
            "from django.conf import settings as s; print(s.EMAIL_PORT, s.EMAIL_USE_TLS,"
            " s.EMAIL_USE_SSL)",
        )
    )
    assert shown.stdout.split() == ["587", "True", "False"]


@pytest.mark.slow
def test_what_is_no_number_is_named():
    assert (
        "Set LMS_WORKER_THREADS to a number; “three” is none."
        in run(python("manage.py", "check"), LMS_WORKER_THREADS="three").stderr
    )


@pytest.mark.parametrize("value", ["Production", "prod", "staging", "production ", ""])
def test_an_environment_that_is_not_known_stops_whatever_reads_the_settings(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault O5: it started as development, with keys that everybody knows."""
    monkeypatch.setenv("MAALEDU_ENV", value)
    with pytest.raises(ImproperlyConfigured, match="Set MAALEDU_ENV to development or production"):
        runpy.run_path(str(ROOT / "maaledu" / "settings.py"))


@pytest.mark.parametrize("name", ["REVOKE_ON_REFUND", "CHECKOUT_CLOSED", "LOG_LEVEL"])
def test_a_misspelt_word_stops_whatever_reads_the_settings(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As fault O5: “ture” and “closed” were off."""
    monkeypatch.setenv(name, "ture")
    with pytest.raises(ImproperlyConfigured, match=f"Set {name} to .*(?i:“ture”)"):
        runpy.run_path(str(ROOT / "maaledu" / "settings.py"))


@pytest.mark.parametrize(
    ("given", "read"), [("", True), ("Yes", True), ("1", True), ("off", False), ("0", False)]
)
def test_a_switch_is_on_or_off_and_as_it_ships_where_it_is_empty(
    given: str, read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose files leave empty variables: a refund left access, and office and mail unsafe."""
    monkeypatch.setenv("REVOKE_ON_REFUND", given)
    found = runpy.run_path(str(ROOT / "maaledu" / "settings.py"))
    assert found["REVOKE_ON_REFUND"] is read


SENTENCES = [
    ("RATE_LIMITS", {"checkout": "ten per hour"}, "E002", "checkout"),
    ("RATE_LIMITS", {"checkout": "0/1m"}, "E002", "checkout"),
    ("TRUSTED_PROXY_COUNT", -1, "E003", "TRUSTED_PROXY_COUNT"),
    ("SECRET_KEY", "short", "E004", "SECRET_KEY"),
    ("SECRET_KEY", "a" * 80, "E004", "SECRET_KEY"),
    ("SECRET_KEY", "django-insecure-" + "0123456789abcdefghij" * 4, "E004", "SECRET_KEY"),
    ("SECRET_KEY_FALLBACKS", ["short"], "E004", "SECRET_KEY_FALLBACKS"),
    ("SECRET_KEY_FALLBACKS", [INSECURE_SECRET_KEY], "E004", "SECRET_KEY_FALLBACKS"),
    ("ALLOWED_HOSTS", [], "E005", "ALLOWED_HOSTS"),
    *(
        ("ALLOWED_HOSTS", ["learn.example.com", host], "E005", f"“{host}”")
        for host in ("*", "*.example.com", ".com", ".co.uk", ".")
    ),
    ("ALLOWED_HOSTS", ["other.example.com"], "E006", "ALLOWED_HOSTS"),
    ("SITE_URL", "", "E006", "SITE_URL"),
    ("SITE_URL", "http://learn.example.com", "E006", "SITE_URL"),
    ("SITE_URL", "https://learn.example.com/shop", "E006", "SITE_URL"),
    ("SITE_URL", "https://me@learn.example.com", "E006", "SITE_URL"),
    ("DEBUG", True, "E007", "DEBUG"),
    ("STRIPE_SECRET_KEY", "", "E008", "STRIPE_SECRET_KEY"),
    ("STRIPE_SECRET_KEY", "pk_" + "live_0123456789", "E008", "STRIPE_SECRET_KEY"),
    ("STRIPE_SECRET_KEY", "sk_" + "test_0123456789", "E008", "STRIPE_LIVEMODE"),
    ("STRIPE_LIVEMODE", False, "E008", "STRIPE_LIVEMODE"),
    ("STRIPE_SECRET_KEY", "sk_" + "live_0123-456789", "E008", "STRIPE_SECRET_KEY"),
    ("STRIPE_SECRET_KEY", "sk_" + "live_0123456789\n", "E023", "Write STRIPE_SECRET_KEY without"),
    ("STRIPE_SECRET_KEY", "sk_" + "live_0123456789 ", "E023", "Write STRIPE_SECRET_KEY without"),
    ("STRIPE_SECRET_KEY", " sk_" + "live_0123456789", "E023", "Write STRIPE_SECRET_KEY without"),
    ("STRIPE_SECRET_KEY", "sk_" + "live_0123\u200b", "E023", "Write STRIPE_SECRET_KEY without"),
    (
        "STRIPE_WEBHOOK_SECRETS",
        ["whsec_" + "0123456789abcdef", "whsec_" + "0123456789abcdef\u00a0"],
        "E023",
        "Write STRIPE_WEBHOOK_SECRET without",
    ),
    ("STRIPE_WEBHOOK_SECRETS", [], "E009", "STRIPE_WEBHOOK_SECRET"),
    ("STRIPE_WEBHOOK_SECRETS", ["secret"], "E009", "STRIPE_WEBHOOK_SECRET"),
    (
        "STRIPE_WEBHOOK_SECRETS",
        ["whsec_" + "0123456789abcdef", ""],
        "E009",
        "STRIPE_WEBHOOK_SECRET",
    ),
    ("STRIPE_API_BASE", "http://127.0.0.1:8701/stripe", "E010", "STRIPE_API_BASE"),
    *(
        ("STRIPE_CHECKOUT_HOST", value, "E022", "pay.example.com")
        for value in (
            "https://pay.shop.com",
            "pay.shop.com/",
            "pay.shop.com:8443",
            "me@pay.shop.com",
            "*.shop.com",
            "localhost",
            "10.0.0.1",
            "pay.shop.com;script-src",
            "pay.shop.com evil.com",
            "PAY.shop.com\n",
            "'none'",
        )
    ),
    ("MONITOR_TOKEN", "too short", "E026", "MONITOR_TOKEN"),
    ("MONITOR_NETWORKS", ["10.0.0.0/33"], "E026", "10.0.0.0/33"),
    ("MONITOR_NETWORKS", ["the office"], "E026", "the office"),
    ("MONITOR_NETWORKS", ["10.0.0.0/8", "0.0.0.0/0"], "E026", "“0.0.0.0/0” is everybody"),
    ("MONITOR_NETWORKS", ["::/0"], "E026", "is everybody"),
    ("REDIS_URL", "127.0.0.1:6379/0", "E027", "REDIS_URL"),
    ("REDIS_URL", "redis://:pa/ss@127.0.0.1:6379/0", "E027", "%2F"),
    ("REDIS_URL", "redis://:pa#ss@127.0.0.1:6379/0", "E027", "%23"),
    ("CELERY_BROKER_URL", "127.0.0.1:6379/0", "E027", "CELERY_BROKER_URL"),
    ("CELERY_BROKER_URL", "amqp://a;amqp://shop:pa/ss@b", "E027", "CELERY_BROKER_URL"),
    *(
        ("CSRF_TRUSTED_ORIGINS", [origin], "E028", "CSRF_TRUSTED_ORIGINS")
        for origin in (
            "https://*",
            "https://*.com",
            "https://*.co.uk",
            "https://*.github.io",
            "https://.example",
            "https://learn*.example.com",
            "https://*.*.example.com",
            "http://www.example.com",
            "www.example.com",
        )
    ),
    ("FRAPPE_DRIVER", "magic", "E011", "FRAPPE_DRIVER"),
    ("STAFF_ALERT_EMAILS", [], "E012", "STAFF_ALERT_EMAILS"),
    ("STAFF_ALERT_EMAILS", ["staff@example.com", "notanaddress"], "E012", "STAFF_ALERT_EMAILS"),
    ("REPORT_EMAILS", ["boss@example.com", "boss"], "E012", "REPORT_EMAILS"),
    ("NUMBERS", {"LMS_WORKER_THREADS": (0, 1)}, "E018", "LMS_WORKER_THREADS to 1 or more; it is 0"),
    ("NUMBERS", {"STRIPE_READ_SECONDS": (float("nan"), 0.1)}, "E018", "STRIPE_READ_SECONDS"),
    ("DEFAULT_FROM_EMAIL", "MaalEdu <courses@maaledu.example>", "E019", "DEFAULT_FROM_EMAIL"),
    ("DEFAULT_FROM_EMAIL", "garbage", "E019", "DEFAULT_FROM_EMAIL"),
    ("SUPPORT_EMAIL", "write to us", "E019", "SUPPORT_EMAIL"),
    ("SUPPORT_EMAIL", "support@devhb.com", "E019", "is the example's"),
    ("SUPPORT_EMAIL", "Support@DevHB.com", "E019", "is the example's"),
    ("SUPPORT_EMAIL", "help@maaledu.example", "E019", "is the example's"),
    ("COMPANY_NAME", "", "E033", "COMPANY_NAME"),
    ("COMPANY_NAME", EXAMPLE_SELLER["COMPANY_NAME"], "E033", "COMPANY_NAME"),
    ("COMPANY_NAME", "Check Ltd.\nBcc: x", "E034", "one line"),
    ("COMPANY_ADDRESS", " ; ", "E033", "COMPANY_ADDRESS"),
    ("COMPANY_ADDRESS", "x" * 201, "E034", "200 characters"),
    ("COMPANY_TAX_ID", EXAMPLE_SELLER["COMPANY_TAX_ID"], "E033", "it is the example's"),
    ("COMPANY_PHONE", "call us", "E034", "COMPANY_PHONE"),
    (
        "EMAIL_DELIVERY_BACKEND",
        "django.core.mail.backends.console.EmailBackend",
        "E013",
        "EMAIL_DELIVERY_BACKEND",
    ),
    (
        "EMAIL_DELIVERY_BACKEND",
        "django.core.mail.backends.locmem.EmailBackend",
        "E013",
        "EMAIL_DELIVERY_BACKEND",
    ),
    (
        "EMAIL_DELIVERY_BACKEND",
        "anymail.backends.sendgrid.EmailBackend",
        "E013",
        "SENDGRID_API_KEY",
    ),
    ("EMAIL_DELIVERY_BACKEND", "", "E013", "EMAIL_DELIVERY_BACKEND"),
    (
        "EMAIL_DELIVERY_BACKEND",
        "django.core.mail.backends.smpt.EmailBackend",
        "E013",
        "EMAIL_DELIVERY_BACKEND",
    ),
    ("EMAIL_HOST", "", "E013", "EMAIL_HOST"),
    ("EMAIL_PORT", 8702, "E013", "EMAIL_HOST"),
    ("EMAIL_HOST_USER", "shop", "E013", "EMAIL_HOST_PASSWORD"),
    ("EMAIL_PORT", 465, "E013", "EMAIL_USE_SSL"),
    ("EMAIL_USE_SSL", True, "E013", "not both"),
    ("FREE_GRANT_ON_LMS_FAILURE", "shrug", "E014", "queue or rollback"),
    ("GRANT_ANSWER_WORKING_DAYS", 0, "E014", "GRANT_ANSWER_WORKING_DAYS"),
    ("LMS_COURSE_URL", "{base}/x", "E021", "LMS_COURSE_URL"),
    ("LMS_COURSE_URL", "{base_url}/lms", "E021", "{course_id}"),
    ("LMS_COURSE_URL", "{base_url}/{course_id", "E021", "LMS_COURSE_URL"),
    ("LMS_COURSE_URL", "/lms/{course_id}", "E021", "{base_url}"),
    ("OPENEDX_COURSE_URL", "{base_url}/courses", "E021", "OPENEDX_COURSE_URL"),
    ("LMS_CERTIFICATE_URL", "{base_url}/c", "E029", "LMS_CERTIFICATE_URL"),
    ("LMS_CERTIFICATE_URL", "{base_url}/{id}", "E029", "{certificate_id}"),
    ("LMS_CERTIFICATE_URL", "https://a.example/{certificate_id}", "E029", "{base_url}"),
    ("LMS_CERTIFICATE_URL", "{base_url}/{certificate_id", "E029", "LMS_CERTIFICATE_URL"),
    ("FRAPPE_PAYMENT_COUNTRY", " ", "E032", "FRAPPE_PAYMENT_COUNTRY"),
    ("OPENEDX_MODE", "", "E024", "OPENEDX_MODE"),
    ("OPENEDX_MODE", "Verified Track", "E024", "OPENEDX_MODE"),
    ("OPENEDX_COURSE_MODES", {"course-v1:A+B+C": ""}, "E024", "OPENEDX_COURSE_MODES"),
    ("CRON_SECRET", "too-short", "E015", "CRON_SECRET"),
    ("COMMISSION_CAP", "half", "E016", "COMMISSION_CAP to none or amount_paid"),
    ("ATTRIBUTION_MODEL", "any_click", "E016", "ATTRIBUTION_MODEL to last_click or first_click"),
    ("PAYOUT_MINIMUM", -1, "E016", "PAYOUT_MINIMUM"),
    ("AFFILIATE_RATE_BASIS_POINTS", -1, "E016", "AFFILIATE_RATE_BASIS_POINTS"),
    ("AFFILIATE_RATE_BASIS_POINTS", 10_001, "E016", "AFFILIATE_RATE_BASIS_POINTS"),
    ("DETAILS_KEYS", [], "E017", "Fernet.generate_key()"),
    ("DETAILS_KEYS", ["short"], "E017", "Fernet.generate_key()"),
    ("DETAILS_KEYS", ["ключ" * 11], "E017", "Fernet.generate_key()"),
    ("DETAILS_KEYS", [GOOD["DETAILS_KEYS"], ""], "E017", "Fernet.generate_key()"),
    ("DETAILS_KEYS", [GOOD["DETAILS_KEYS"], INSECURE_DETAILS_KEY], "E017", "known to everybody"),
]


@pytest.fixture
def production(settings):
    """The settings as a good production environment makes them."""
    settings.ENVIRONMENT, settings.PRODUCTION, settings.DEBUG = "production", True, False
    for name in ("SECRET_KEY", "SITE_URL", "STRIPE_SECRET_KEY", "REDIS_URL", *SELLER):
        setattr(settings, name, GOOD[name])
    settings.COMPANY_TAX_ID = settings.COMPANY_PHONE = ""
    settings.ALLOWED_HOSTS = [GOOD["ALLOWED_HOSTS"]]
    settings.STRIPE_WEBHOOK_SECRETS = [GOOD["STRIPE_WEBHOOK_SECRET"]]
    settings.STAFF_ALERT_EMAILS = [GOOD["STAFF_ALERT_EMAILS"]]
    settings.DETAILS_KEYS = [GOOD["DETAILS_KEYS"]]
    settings.STRIPE_LIVEMODE, settings.STRIPE_API_BASE = True, ""
    settings.OFFICE_SECOND_FACTOR = True
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.TRUSTED_PROXY_COUNT = "127.0.0.1", 587, 1
    settings.EMAIL_USE_TLS, settings.DEFAULT_FROM_EMAIL = True, GOOD["DEFAULT_FROM_EMAIL"]
    return settings


def errors(production) -> list[str]:
    return [
        f"{message.id} {message.msg}" for message in check_environment() if message.is_serious()
    ]


def test_the_good_settings_have_no_errors(production):
    assert errors(production) == []


@pytest.mark.parametrize(
    ("name", "value", "number", "says"), SENTENCES, ids=[f"{s[0]}={s[1]!r:.30}" for s in SENTENCES]
)
def test_each_unsafe_setting_is_refused_with_a_sentence_that_names_what_to_set(
    production, name, value, number, says
):
    setattr(production, name, value)
    found = errors(production)
    assert [
        sentence
        for sentence in found
        if sentence.startswith(f"maaledu.{number} ") and says in sentence
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYOUT_MINIMUM", 0),
        ("STRIPE_CHECKOUT_HOST", ""),
        ("REDIS_URL", "rediss://default:pa%2Fss@name.upstash.io:6379"),
        ("CELERY_BROKER_URL", "sentinel://a:26379;sentinel://b:26379"),
        ("STRIPE_CHECKOUT_HOST", "pay.shop-1.co.uk"),
        ("AFFILIATE_RATE_BASIS_POINTS", 0),
        ("AFFILIATE_RATE_BASIS_POINTS", 10_000),
    ],
)
def test_the_ends_of_a_range_are_allowed(production, name, value):
    setattr(production, name, value)
    assert errors(production) == []


@pytest.mark.slow
def test_forms_may_lead_to_the_payment_page_on_a_domain_of_ones_own():
    show = "from django.conf import settings as s; print(s.CONTENT_SECURITY_POLICY['DIRECTIVES'])"
    shown = run(python("-W", "ignore", "-c", show), STRIPE_CHECKOUT_HOST="pay.example.com").stdout
    pages = "['https://checkout.stripe.com', 'https://pay.example.com']"
    assert ast.literal_eval(shown)["form-action"][1:] == ast.literal_eval(pages)


def test_a_key_that_is_rolled_is_followed_by_the_old_one(production):
    production.DETAILS_KEYS = ["bmV3LW9uZS1mb3ItdGhlLWNoZWNrLW9mLXByb2R1Y3Q=", GOOD["DETAILS_KEYS"]]
    assert errors(production) == []


def test_development_needs_none_of_it(settings):
    settings.STRIPE_SECRET_KEY, settings.ALLOWED_HOSTS, settings.SITE_URL = "", [], ""
    assert check_environment() == []


def test_alerts_by_e_mail_alone_are_advised_against(production):
    """Fault E3: what is about the mail server cannot be sent by e-mail."""
    assert "maaledu.I002" in [message.id for message in check_environment()]
    production.SLACK_WEBHOOK_URL = "https://hooks.slack.com/services/T0/B0/x"
    assert "maaledu.I002" not in [message.id for message in check_environment()]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"SLACK_WEBHOOK_URL": "http://hooks.example"}, "SLACK_WEBHOOK_URL to an address"),
        ({"SLACK_WEBHOOK_URL": "hooks.example/x"}, "SLACK_WEBHOOK_URL to an address"),
        ({"ALERT_WEBHOOK_URL": "https://alerts.example"}, "ALERT_WEBHOOK_SECRET"),
        (
            {"ALERT_WEBHOOK_URL": "http://alerts.example", "ALERT_WEBHOOK_SECRET": "x"},
            "ALERT_WEBHOOK_URL to an address",
        ),
    ],
)
def test_a_channel_of_alerts_is_encrypted_and_signed(production, changes, says):
    for name, value in changes.items():
        setattr(production, name, value)
    [error] = errors(production)
    assert says in str(error)


def test_several_web_processes_without_redis_are_warned_about(production):
    production.REDIS_URL = ""
    warnings = [each.id for each in check_environment() if not each.id.startswith("maaledu.I")]
    assert warnings == ["maaledu.W001"]


def test_a_reverse_proxy_nobody_mentioned_is_warned_about(production):
    production.TRUSTED_PROXY_COUNT = 0
    assert "maaledu.W002" in [message.id for message in check_environment()]


def test_production_without_a_second_factor_for_the_office_is_warned_of(production):
    production.OFFICE_SECOND_FACTOR = False
    assert "maaledu.W003" in [message.id for message in check_environment()]


@pytest.mark.any_engine
@pytest.mark.every_engine
def test_the_database_of_this_run_can_do_what_is_asked_of_it(db):
    assert check_database(databases=["default"]) == []


@pytest.mark.parametrize("url", ["postgres://db/maaledu", "mongodb://db/maaledu"])
def test_a_worker_has_no_more_threads_than_connections(settings, url):
    """Fault G11: the others gave up, again and again."""
    settings.DATABASE_URL, settings.DATABASE_POOL_MAX = url, 10
    settings.LMS_WORKER_THREADS = 3
    assert list(pool()) == []
    settings.LMS_WORKER_THREADS = 12
    assert list(pool()) == [
        "Set DATABASE_POOL_MAX to 19 or more for LMS_WORKER_THREADS=12; it is 10."
    ]
    settings.DATABASE_POOL_MAX, settings.DATABASE_POOL_MIN = 19, 20
    assert list(pool()) == ["Set DATABASE_POOL_MIN to 19 or less, as DATABASE_POOL_MAX is."]
    settings.DATABASE_URL = "sqlite:///db.sqlite3"
    assert list(pool()) == []


def test_the_threads_that_are_counted_are_those_of_the_worker():
    wanted = settings.LMS_WORKER_THREADS + OTHER_WORKER_THREADS
    assert len(worker.threads(threading.Event())) == wanted


@pytest.mark.engines("postgres")
def test_the_pool_of_postgresql_is_as_set():
    """Requirement R200."""
    assert (settings.DATABASE_POOL_MIN, settings.DATABASE_POOL_SECONDS) == (1, 5)
    kept = connection.pool
    assert (kept.min_size, kept.max_size, kept.timeout) == (1, settings.DATABASE_POOL_MAX, 5)


@pytest.mark.engines("mongodb")
def test_the_pool_of_mongodb_is_as_set(db):
    """Requirement R200."""
    options = connection.connection.options.pool_options
    assert (options.min_pool_size, options.max_pool_size) == (1, settings.DATABASE_POOL_MAX)


@pytest.mark.engines("mongodb")
def test_a_mongodb_without_transactions_is_refused(db, monkeypatch):
    monkeypatch.setitem(vars(connection.features), "_supports_transactions", False)
    assert [message.id for message in check_database(databases=["default"])] == ["maaledu.E020"]


def test_every_variable_that_is_read_is_explained_in_the_example():
    read = set(
        re.findall(
            r'(?:env\.\w+|_number|_switch)\(\s*"([A-Z_]+)"',
            (ROOT / "maaledu/settings.py").read_text(),
        )
    )
    explained = set(
        re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
    )
    composed = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))
    assert read | composed == explained

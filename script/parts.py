"""The parts of a test run: which commands each consists of, and what is in its environment."""

from collections.abc import Callable
from dataclasses import dataclass, field

from script.children import ROOT
from script.files import project_files
from script.servers import Services

# What only one part may have at a time: the clock, because it kills and times processes of its own,
# and PostgreSQL, because it needs many of the connections that one server gives.
CLOCK, POSTGRES = "clock", "postgres"
ENGINES = ("sqlite", "postgres", "mongodb")
QUICK = "sqlite-quick"
GROUPS = {"system": [f"system-{engine}" for engine in ENGINES], "quick": ["lint", QUICK]}
ELSEWHERE = ("--ignore=tests/e2e", "--ignore=tests/system")  # in parts of their own
# These are run on the first engine only: pyproject.toml says what the marks mean,
# tests/test_suite.py holds each test to its own.
EVERY_ENGINE = "engines or every_engine or not (any_engine or no_database)"
# What is left alone at the end uses both cores.
ON_TWO_CORES = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
# Each test has a line with its number in the log, from which the progress is read.
ONE_LINE_EACH = ("-o", "verbosity_test_cases=1", "-o", "console_output_style=count")
ANY_PORTS = ("--port", "0", "--sandbox-port", "0", "--smtp-port", "0")
PRODUCTION = {
    "MAALEDU_ENV": "production",
    "SECRET_KEY": "0a1b2c3d4e5f6g7h8i9j-only-for-the-check-of-production-settings",
    "ALLOWED_HOSTS": "learn.example.com",
    "SITE_URL": "https://learn.example.com",
    "STRIPE_SECRET_KEY": "sk_live_check",
    "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
    "FRAPPE_LMS_BASE_URL": "https://lms.example.com",
    "FRAPPE_LMS_API_KEY": "check-key:check-secret",
    "STAFF_ALERT_EMAILS": "staff@example.com",
    "EMAIL_HOST": "mail.example.com",
    "DEFAULT_FROM_EMAIL": "Shop <courses@example.com>",
    "SUPPORT_EMAIL": "help@example.com",
    "COMPANY_NAME": "Check Ltd.",
    "COMPANY_ADDRESS": "2 High Street; London",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "DATABASE_URL": "postgres://postgres@127.0.0.1:5432/maaledu",
    "TRUSTED_PROXY_COUNT": "1",
    "DETAILS_KEYS": "b25seS1mb3ItdGhlLWNoZWNrLW9mLXByb2R1Y3Rpb24=",
}


@dataclass(frozen=True)
class Step:
    """One command; with `tests` it is pytest and its report says how many tests there were."""

    command: list[str]
    env: dict[str, str] = field(default_factory=dict)
    tests: bool = False


@dataclass(frozen=True)
class Part:
    name: str
    steps: list[Step]
    alone_with: frozenset[str] = frozenset()


def parts(services: Services) -> dict[str, Callable[[], Part]]:
    """Return how to make each part; a server is started only for a part that needs it.

    In the order in which they are begun: the system parts, of which only one may run at a time,
    one after another from the start; SQLite's, which fills both cores, so late that nothing is left
    alone at the end.
    """
    made: dict[str, Callable[[], Part]] = {}
    made["system-postgres"] = lambda: _system("postgres", services)
    made["mongodb"] = lambda: _engine("mongodb", services)
    made["browser"] = lambda: Part("browser", [_pytest("tests/e2e", env=_env("sqlite", services))])
    made["system-sqlite"] = lambda: _system("sqlite", services)
    made["sqlite"] = lambda: _engine("sqlite", services)
    made["postgres"] = lambda: _engine("postgres", services)
    made["system-mongodb"] = lambda: _system("mongodb", services)
    made["lint"] = lambda: Part("lint", _lint())
    made["migrations"] = lambda: _migrations(services)
    made["demo"] = lambda: Part("demo", [Step(["-m", "script.demo", "--check", *ANY_PORTS])])
    made[QUICK] = lambda: _quick(services)
    return made


def _lint() -> list[Step]:
    paths = [path.relative_to(ROOT) for path in project_files() if path.suffix == ".py"]
    files = [str(path) for path in paths if path.parent.name != "migrations"]
    return [
        Step(["-m", "ruff", "check", "--output-format", "concise", "."]),
        Step(["-m", "ruff", "format", "--check", "--output-format", "concise", "."]),
        Step(["-m", "mypy"]),
        # In what every request passes, request.META is meant: request.headers makes a mapping of
        # all headers first.
        Step(
            [
                "-m",
                "django_upgrade",
                "--check",
                "--target-version",
                "5.2",
                "--skip",
                "request_headers",
                *files,
            ]
        ),
        Step(["manage.py", "check", "--deploy", "--fail-level", "WARNING"], env=PRODUCTION),
    ]


def _migrations(services: Services) -> Part:
    command = [
        "manage.py",
        "makemigrations",
        "--check",
        "--dry-run",
        "--settings",
        "tests.settings",
    ]
    return Part("migrations", [Step(command, env=_env(engine, services)) for engine in ENGINES])


def _engine(engine: str, services: Services) -> Part:
    how = ["-m", EVERY_ENGINE] if engine != ENGINES[0] else ON_TWO_CORES
    step = _pytest("tests", *ELSEWHERE, *how, env=_env(engine, services))
    return Part(engine, [step], alone_with=frozenset({engine} & {POSTGRES}))


def _quick(services: Services) -> Part:
    return Part(
        QUICK,
        [
            _pytest(
                "tests",
                *ELSEWHERE,
                "-m",
                "not slow",
                *ON_TWO_CORES,
                env=_env(ENGINES[0], services),
            )
        ],
    )


def _system(engine: str, services: Services) -> Part:
    """Real processes that are killed: they start Redis servers of their own."""
    services.need_redis()
    step = _pytest("tests/system", env=_env(engine, services))
    return Part(f"system-{engine}", [step], alone_with=frozenset({CLOCK, *({engine} & {POSTGRES})}))


def _env(engine: str, services: Services) -> dict[str, str]:
    env = {"TEST_ENGINE": engine}
    if engine == "postgres":
        env["DATABASE_URL"] = services.postgres_url()
    return env


def _pytest(*arguments: str, env: dict[str, str]) -> Step:
    return Step(
        ["-m", "pytest", "-q", "-rfEs", "--durations=10", *ONE_LINE_EACH, *arguments],
        env=env,
        tests=True,
    )

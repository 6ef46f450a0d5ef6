"""The running shop as real processes: gunicorn and the embedded worker, or gunicorn, Celery worker,
Celery beat and Redis.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import redis
import requests

from tests.engines import ROOT
from tests.factories import make_course
from tests.processes import Proc, free_port, python
from tests.sandbox_client import Sandbox, wait_until

SLUG = "data-with-care"
APPLICATION_NAME = "maaledu-shop"  # of the shop's connections to PostgreSQL
TOKEN_IN_FORM = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
SECONDS = 30


def environment(database_url: str, sandbox: Sandbox) -> dict[str, str]:
    """Return the environment of the product's own processes, with short times."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "maaledu.settings",
        "DATABASE_URL": database_url,
        "DATABASE_POOL_MAX": "10",
        "REDIS_URL": "",
        "CELERY_BROKER_URL": "",
        "STRIPE_API_BASE": sandbox.stripe_url,
        "STRIPE_READ_SECONDS": "5",
        "FRAPPE_LMS_BASE_URL": sandbox.lms_url,
        "EMAIL_PORT": str(sandbox.smtp_port),
        "EMAIL_TIMEOUT_SECONDS": "1",
        "LMS_TIMEOUT_WORKER_SECONDS": "1",
        "LMS_BREAKER_OPEN_SECONDS": "2",
        "LMS_LOST_CREATE_WAIT_SECONDS": "2",
        "WORK_LEASE_MARGIN_SECONDS": "1",
        "WORK_SWEEP_SECONDS": "2",
        "RATE_LIMIT_CHECKOUT": "100000/1m",
        "RATE_LIMIT_COUPON": "100000/1m",
        "RATE_LIMIT_COUPON_EMAIL": "100000/1m",
        "RATE_LIMIT_STATUS": "100000/1m",
        "LOG_JSON": "true",
        "PYTHONUNBUFFERED": "1",
    }


class Shop:
    """One shop on this run's database, open for many tests: what one of them killed is started
    again for the next.
    """

    web_workers = 1

    def __init__(self, env: dict[str, str], sandbox: Sandbox, directory: Path) -> None:
        self.sandbox, self.directory = sandbox, directory
        self.port = free_port()
        self.env = {**env, "SITE_URL": self.url}
        self.started: list[Proc] = []
        self.web: Proc | None = None
        self.worker: Proc | None = None
        self.web_is_usual = True
        self._read: dict[Path, int] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, command: list[str], **environment: str) -> Proc:
        log = self.directory / f"process-{len(self._read)}.log"
        self._read[log] = 0
        self.started.append(Proc(command, env={**self.env, **environment}, log=log))
        return self.started[-1]

    def open(self) -> "Shop":
        """Start whatever is not running as usual, and return when all of it serves and works; one
        course is on sale.
        """
        self.put_on_sale()
        if not is_running(self.web) or not self.web_is_usual:
            self.restart_web()
        if not is_running(self.worker):
            self.start_worker()
        self.wait_web()
        self.wait_worker()
        self.sandbox.webhooks(url=f"{self.url}/api/webhook", hold=False)
        return self

    def put_on_sale(self) -> None:
        make_course(slug=SLUG, title="Data with care")

    def start_web(self, **environment: str) -> Proc:
        """Start the web server, with more environment where it is to be an unusual one."""
        options = ["--workers", str(self.web_workers), "--bind", f"127.0.0.1:{self.port}"]
        self.web = self.start(python("-m", "gunicorn", "maaledu.wsgi", *options), **environment)
        self.web_is_usual = not environment
        return self.web

    def restart_web(self, **environment: str) -> None:
        """Kill the web server if it runs, and return when a new one answers."""
        if self.web:
            self.web.kill()
        self.start_web(**environment)
        self.wait_web()

    def wait_web(self) -> None:
        self.web.wait_until(lambda: answers(f"{self.url}/health/live"), "an answer")

    def start_worker(self) -> None:
        self.worker = self.start(python("manage.py", "run_due_work", "--forever"))

    def wait_worker(self) -> None:
        self.worker.wait_line("WORKER READY")

    def manage(self, *arguments: str) -> str:
        """Run one management command as the shop's own processes run, and return its output. One
        that fails says in its error what it wrote.
        """
        done = subprocess.run(
            python("manage.py", *arguments),
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self) -> None:
        """End every process; `open` starts them again."""
        while self.started:
            self.started.pop().stop(seconds=0)

    def new_output(self) -> str:
        """Return what the processes have written since the last call."""
        texts = []
        for log, read in self._read.items():
            text = log.read_text(errors="replace")
            texts.append(text[read:])
            self._read[log] = len(text)
        return "\n".join(texts)

    # --- what buyers do ---------------------------------------------------------------------------

    def post_form(
        self, email: str, timeout: float = SECONDS, *, slug: str = SLUG, **headers: str
    ) -> requests.Response:
        """Open the checkout form and post it; return the answer, without following it."""
        with requests.Session() as browser:
            page = browser.get(f"{self.url}/checkout/{slug}/", timeout=timeout)
            found = TOKEN_IN_FORM.search(page.text)
            assert found, page.text[:500]
            form = {
                "csrfmiddlewaretoken": found[1],
                "email": email,
                "name": "Ada Lovelace",
                "accept_terms": "on",
            }
            return browser.post(
                f"{self.url}/checkout/{slug}/",
                data=form,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
            )

    def check_out(self, email: str, slug: str = SLUG) -> str:
        """Go through the form and return the id of the Stripe session it leads to."""
        answer = self.post_form(email, slug=slug)
        assert answer.status_code == 302, answer.text[:2000]
        return answer.headers["Location"].rpartition("/")[2]

    def buy(self, email: str, slug: str = SLUG) -> None:
        """Go through the form and pay; Stripe tells the shop by its own webhook, which has been
        answered when this returns.
        """
        self.sandbox.pay(self.check_out(email, slug), wait=5)

    def buy_all(self, emails: list[str], at_once: int = 4) -> None:
        with ThreadPoolExecutor(at_once) as buyers:
            list(buyers.map(self.buy, emails))

    def status_page(self, token: str) -> str:
        return requests.get(f"{self.url}/enrollments/{token}/", timeout=SECONDS).text


class CeleryShop(Shop):
    """Two web processes, a Celery worker of two, a beat, and a Redis of their own that may be
    flushed and killed.
    """

    web_workers = 2

    def __init__(self, env: dict[str, str], sandbox: Sandbox, directory: Path) -> None:
        super().__init__(env, sandbox, directory)
        self.redis_port = free_port()
        database = f"{env['DATABASE_URL']}?application_name={APPLICATION_NAME}"
        self.env |= {
            "REDIS_URL": self.redis_url,
            "CELERY_BROKER_URL": self.redis_url,
            "DATABASE_URL": database,
        }
        self.redis: Proc | None = None
        self.beat: Proc | None = None

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"

    def open(self) -> "Shop":
        if not is_running(self.redis):
            self.start_redis()
        if not is_running(self.beat):
            self.start_beat()
        return super().open()

    def start_redis(self) -> None:
        server = shutil.which("redis-server")
        assert server, "redis-server is not installed"
        command = [
            server,
            "--port",
            str(self.redis_port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        # Redis keeps the real time: it hangs at its start when a library fakes the clock for it.
        redis = self.start([*command, "--dir", str(self.directory)], LD_PRELOAD="")
        self.redis = redis.wait_port(self.redis_port)

    def flush_redis(self) -> None:
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def start_worker(self) -> None:
        self.worker = self.celery("worker", "--concurrency", "2")

    def wait_worker(self) -> None:
        self.worker.wait_line("ready.")
        self.beat.wait_line("maxinterval")

    def start_beat(self) -> Proc:
        self.beat = self.celery(
            "beat", "--schedule", str(self.directory / f"beat-{len(self._read)}")
        )
        return self.beat

    def celery(self, *arguments: str) -> Proc:
        return self.start(python("-m", "celery", "-A", "maaledu", *arguments))


def is_running(process: Proc | None) -> bool:
    return process is not None and process.running


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False


@contextmanager
def struck(
    sandbox: Sandbox, target: str, mode: str, match: str = "", **more: object
) -> Iterator[Callable[[], None]]:
    """Switch a fault on, and give a function that waits until it has struck as often as it can."""
    fault = sandbox.fault(target, mode, match, **more)

    def wait() -> None:
        wait_until(lambda: _hits(sandbox, fault["id"]) >= fault["times"], SECONDS, every=0.02)

    yield wait


def _hits(sandbox: Sandbox, number: int) -> int:
    return next(fault["hits"] for fault in sandbox.book("faults") if fault["id"] == number)


def learners(count: int, name: str = "learner") -> list[str]:
    return [f"{name}{number}@example.com" for number in range(count)]


def timed(call: Callable[[], object]) -> float:
    """Return how many seconds the call took."""
    started = time.monotonic()
    call()
    return time.monotonic() - started

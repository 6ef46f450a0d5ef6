"""`script/bench --vitals`: four pages as a phone on slow 4G gets them, in Chromium, by DevTools.

Of each page, in a browser that has seen nothing of the shop before: when its largest element is
painted, by how much it shifts, its longest task, and what is sent. The median of three visits is
printed, with what is too much; the exit code is 1 then. Chromium and the shop share the machine, so
run it with `nice -n -15` where anything else runs.
"""

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import requests
from playwright.sync_api import Browser, CDPSession, sync_playwright
from whitenoise.compress import Compressor

from script import purchase
from script.children import ROOT, Child, choose_port, stop_all
from script.demo import answers
from script.demo_settings import Location, environment

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PHONE = {"width": 390, "height": 844}
# DevTools' own "Slow 4G", as its network panel sets it: ms for each request, bytes a second.
SLOW_4G = {"offline": False, "latency": 562.5, "downloadThroughput": 180_000}
UPLOAD = 84_375
VISITS, SETTLED_MS, START_SECONDS = 3, 700, 300
MOST_PAINT_MS, MOST_SHIFT, MOST_TASK_MS, MOST_CATALOGUE_BYTES = 1800, 0.02, 50, 150_000
# What the page itself saw; the shifts that follow a touch or a key within half a second are meant.
WATCH = """
window.seen = {paint: 0, shift: 0, task: 0};
const watch = (type, note) => new PerformanceObserver(
  list => list.getEntries().forEach(note)).observe({type, buffered: true});
watch('largest-contentful-paint', entry => { seen.paint = entry.startTime; });
watch('layout-shift', entry => { if (!entry.hadRecentInput) seen.shift += entry.value; });
watch('longtask', entry => { seen.task = Math.max(seen.task, entry.duration); });
"""


@dataclass(frozen=True)
class Visit:
    """What one visit came to: milliseconds, a layout-shift score, bytes on the wire."""

    paint: float
    shift: float
    task: float
    bytes: int
    picture_bytes: int
    requests: int


def main() -> int:
    with (
        tempfile.TemporaryDirectory(
            prefix="maaledu-vitals-", ignore_cleanup_errors=True
        ) as directory,
        demo(Path(directory)) as shop,
        sync_playwright() as playwright,
    ):
        program = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        found = {name: _measure(browser, url) for name, url in _pages(shop).items()}
        browser.close()
    print("page        largest paint   shift   longest task   bytes  pictures  requests")
    for name, visit in found.items():
        print(
            f"{name:<11} {visit.paint:>10.0f} ms {visit.shift:>7.3f} {visit.task:>11.0f} ms"
            f" {visit.bytes:>7} {visit.picture_bytes:>9} {visit.requests:>9}"
        )
    wrong = [line for name, visit in found.items() for line in _too_much(name, visit)]
    print("\n".join(wrong) or "All within the goals.")
    return int(bool(wrong))


@contextmanager
def demo(directory: Path) -> Iterator[str]:
    """Start a demo with an empty office, and a web process of it that serves static files as
    production does; yield the address of that one.
    """
    ports = [choose_port(0) for _ in range(3)]
    names = ("--port", "--sandbox-port", "--smtp-port")
    given = [text for name, port in zip(names, ports, strict=True) for text in (name, str(port))]
    command = ["-m", "script.demo", "--empty-office", "--directory", str(directory), *given]
    log = directory / "demo.log"
    child = Child("demo", [sys.executable, *command], env=dict(os.environ), log=log)
    children = [child]
    try:
        child.wait_ready(lambda: "Ctrl-C stops" in child.output(), START_SECONDS)
        web = f"127.0.0.1:{choose_port(0)}"
        children.append(_serve(Location(directory, *ports), web))
        yield f"http://{web}"
    finally:
        stop_all(children)


def _serve(location: Location, address: str) -> Child:
    static = location.directory / "static"
    shutil.copytree(ROOT / "static", static)
    for path in [path for path in static.rglob("*") if path.is_file()]:
        list(Compressor(quiet=True).compress(str(path)))
    env = {
        **environment(location),
        "DJANGO_SETTINGS_MODULE": "bench.vitals_settings",
        "VITALS_STATIC": str(static),
        "SITE_URL": f"http://{address}",
    }
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "maaledu.wsgi",
        "--workers",
        "1",
        "--bind",
        address,
    ]
    child = Child("web", command, env=env, log=location.directory / "compressed.log")
    return child.wait_ready(partial(answers, f"http://{address}/health/ready"), START_SECONDS)


def _pages(shop: str) -> dict[str, str]:
    email = f"vitals-{uuid.uuid4().hex[:8]}@example.com"
    status = purchase.pay(requests.Session(), shop, email)
    return {
        "catalogue": f"{shop}/courses/",
        "course": f"{shop}/courses/data-analysis-foundations/",
        "checkout": f"{shop}/checkout/data-analysis-foundations/",
        "status": status,
    }


def _measure(browser: Browser, url: str) -> Visit:
    requests.get(url, timeout=30)  # the first request of a page pays for its templates
    visits = [_visit(browser, url) for _ in range(VISITS)]
    names = [each.name for each in fields(Visit)]
    return Visit(**{name: median(getattr(visit, name) for visit in visits) for name in names})


def _visit(browser: Browser, url: str) -> Visit:
    context = browser.new_context(viewport=PHONE, is_mobile=True, has_touch=True)
    page = context.new_page()
    page.add_init_script(WATCH)
    devtools = context.new_cdp_session(page)
    sent = _count_bytes(devtools)
    devtools.send("Network.emulateNetworkConditions", {**SLOW_4G, "uploadThroughput": UPLOAD})
    page.goto(url, wait_until="load", timeout=120_000)
    page.wait_for_timeout(SETTLED_MS)
    seen = page.evaluate("window.seen")
    context.close()
    pictures = sum(size for kind, size in sent if kind == "Image")
    everything = sum(size for _, size in sent)
    return Visit(
        seen["paint"], seen["shift"], seen["task"], everything - pictures, pictures, len(sent)
    )


def _count_bytes(devtools: CDPSession) -> list[tuple[str, int]]:
    """Return a list that each finished request is added to: its kind, and its bytes on the wire."""
    sent: list[tuple[str, int]] = []
    kinds: dict[str, str] = {}

    def note(event: dict[str, Any]) -> None:
        kinds[event["requestId"]] = event["type"]

    def count(event: dict[str, Any]) -> None:
        sent.append((kinds.get(event["requestId"], ""), int(event["encodedDataLength"])))

    devtools.on("Network.responseReceived", note)
    devtools.on("Network.loadingFinished", count)
    devtools.send("Network.enable")
    return sent


def _too_much(name: str, visit: Visit) -> list[str]:
    checks = [
        (visit.paint > MOST_PAINT_MS, f"the largest paint is later than {MOST_PAINT_MS} ms"),
        (visit.shift > MOST_SHIFT, f"it shifts by more than {MOST_SHIFT}"),
        (visit.task > MOST_TASK_MS, f"a task is longer than {MOST_TASK_MS} ms"),
        (
            name == "catalogue" and visit.bytes > MOST_CATALOGUE_BYTES,
            f"more than {MOST_CATALOGUE_BYTES} bytes without pictures",
        ),
    ]
    return [f"{name}: {what}" for is_wrong, what in checks if is_wrong]


if __name__ == "__main__":
    sys.exit(main())

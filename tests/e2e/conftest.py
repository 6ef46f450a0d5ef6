"""A browser and a really running demo, each started once; a visitor and a sandbox in order for
every test.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.inspection import Inspector
from tests.e2e.running_demo import BrokenShop, RunningDemo
from tests.e2e.visitor import PATIENCE_MS, Visitor
from tests.sandbox_client import Sandbox

# The first one has no windows to draw, and takes half as long for the same pages.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
# With it, headless Chromium makes no frames: it computes styles and lays pages out where a script
# asks for it, and no script that waits for the next frame goes on.
NO_FRAMES = "--disable-threaded-compositing"

expect.set_options(timeout=PATIENCE_MS)


def program() -> str | None:
    """Return the system's Chromium, or the one E2E_CHROMIUM names; without any, None: what
    `playwright install chromium` fetched.
    """
    return os.environ.get("E2E_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program(), args=BROWSER_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def still_browser(browser: Browser, inspector: Inspector) -> Iterator[Browser]:
    """A browser for pages that are measured and not used: it draws them for pictures only, which
    takes a fifth less time.
    """
    if inspector.pictures:
        yield browser
        return
    flags = [*BROWSER_FLAGS, NO_FRAMES]
    chromium = browser.browser_type.launch(executable_path=program(), args=flags)
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    running = RunningDemo(tmp_path_factory.mktemp("demo"))
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="session")
def broken_shop(
    tmp_path_factory: pytest.TempPathFactory, demo: RunningDemo
) -> Iterator[BrokenShop]:
    shop = BrokenShop(tmp_path_factory.mktemp("broken"), demo.environment())
    try:
        yield shop.wait()
    finally:
        shop.stop()


@pytest.fixture
def sandbox(demo: RunningDemo) -> Iterator[Sandbox]:
    """Stripe, the LMS and the mailbox of the demo, with every switch back in its place after the
    test.
    """
    hand = demo.sandbox()
    hand.lms(user_limit=10_000)
    yield hand
    hand.call("DELETE", "/control/faults")
    hand.stripe(async_delay=3)
    hand.stop()


@pytest.fixture
def visit(
    browser: Browser, demo: RunningDemo, sandbox: Sandbox
) -> Iterator[Callable[..., Visitor]]:
    """Return a function that brings a visitor: `visit(viewport=PHONE,
    java_script_enabled=False)`.
    """
    visitors: list[Visitor] = []

    def bring(**options) -> Visitor:
        origins = [demo.url, demo.sandbox_url, *options.pop("origins", [])]
        visitors.append(
            Visitor(browser, base_url=demo.url, origins=origins, sessions=demo.sessions, **options)
        )
        return visitors[-1]

    yield bring
    complaints = [complaint for visitor in visitors for complaint in visitor.leave()]
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def visitor(visit: Callable[..., Visitor]) -> Visitor:
    return visit()


@pytest.fixture(scope="session")
def inspector() -> Inspector:
    """Looks over a page; keeps pictures in the directory E2E_SCREENSHOTS names, if any."""
    wanted = os.environ.get("E2E_SCREENSHOTS")
    return Inspector(Path(wanted) if wanted else None)

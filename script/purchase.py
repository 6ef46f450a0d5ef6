"""One purchase over HTTP, as a browser without JavaScript makes it, and what has to come of it."""

import re
import time
import uuid
from collections.abc import Callable
from html import unescape

import requests

CARD = {"name": "Ada Buyer", "card": "4242424242424242", "expiry": "12 / 34", "cvc": "123"}
TIMEOUT_SECONDS = 15
READY_SECONDS = 30
READY = "Your course is ready"


class NotAsPromised(Exception):
    """A step did not lead where it has to."""


def buy(shop: str, sandbox: str) -> None:
    """Buy one course and wait for the access and the e-mail. Raises NotAsPromised."""
    browser = requests.Session()
    email = f"check-{uuid.uuid4().hex[:8]}@example.com"
    for path in ("/health/live", "/health/ready", "/api/health/frappe"):
        _get(browser, shop + path)
    address = pay(browser, shop, email)
    started = time.monotonic()
    _wait("the course being ready", lambda: READY in _get(browser, address))
    print(f"bought, and ready {time.monotonic() - started:.1f} s after the payment")
    _wait("one e-mail", lambda: _mails(browser, sandbox, email) > 0)
    if _mails(browser, sandbox, email) != 1:
        raise NotAsPromised(f"{email} got more than one e-mail")
    print("one e-mail arrived; the check passed")


def pay(browser: requests.Session, shop: str, email: str) -> str:
    """Go through the form and Stripe's page, and return the address of the status page."""
    courses = re.findall(r'href="(/courses/[a-z0-9-]+/)"', _get(browser, f"{shop}/"))
    page = _get(browser, shop + _one("a course", courses))
    form_url = shop + _one("a way to the checkout", re.findall(r'href="(/checkout/[^"]+)"', page))
    tokens = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', _get(browser, form_url))
    form = {
        "csrfmiddlewaretoken": _one("a CSRF token", tokens),
        "email": email,
        "name": "Ada Buyer",
        "accept_terms": "on",
    }
    payment_page = _post(browser, form_url, form)
    status_page = _post(browser, payment_page.url, {**CARD, "email": email})
    if not status_page.url.startswith(f"{shop}/enrollments/"):
        raise NotAsPromised(f"the payment led to {status_page.url}: {_text(status_page)}")
    return status_page.url.partition("?")[0]


def _get(browser: requests.Session, url: str) -> str:
    answer = browser.get(url, timeout=TIMEOUT_SECONDS)
    if answer.status_code != 200:
        raise NotAsPromised(f"GET {url} answered {answer.status_code}: {_text(answer)}")
    return answer.text


def _post(browser: requests.Session, url: str, form: dict[str, str]) -> requests.Response:
    answer = browser.post(url, data=form, headers={"Referer": url}, timeout=TIMEOUT_SECONDS)
    if answer.status_code != 200 or answer.url == url:
        raise NotAsPromised(f"POST {url} answered {answer.status_code}: {_text(answer)}")
    return answer


def _one(what: str, found: list[str]) -> str:
    if not found:
        raise NotAsPromised(f"the page does not show {what}")
    return found[0]


def _text(answer: requests.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())[:300]


def _mails(browser: requests.Session, sandbox: str, email: str) -> int:
    return browser.get(
        f"{sandbox}/mail/api/messages", params={"to": email}, timeout=TIMEOUT_SECONDS
    ).json()["count"]


def _wait(what: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise NotAsPromised(f"{what} took longer than {READY_SECONDS} s")
        time.sleep(0.2)

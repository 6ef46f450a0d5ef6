"""The pictures of docs/walks.md, made anew from a running demo:

    script/demo &
    .venv/bin/python -m script.walks

Each is what is in view at a step of one of the two walks, as `docs/img/walks/<step>.webp`.
"""

import argparse
import io
import json
import re
import time
import urllib.request

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from script.children import ROOT

CHROMIUM = "/usr/bin/chromium-headless-shell"
PICTURES = ROOT / "docs" / "img" / "walks"
PHONE, LAPTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
SHOWN_AT = {390: 390, 1280: 800}  # pixels wide, by the width of the window
CODE = re.compile(r"^\s*([A-Z0-9]{4}-[A-Z0-9]{4})\s*$", re.MULTILINE)
LINK = re.compile(r"http://\S+/grants/\S+")


class Walk:
    """A window on the demo, and its mailbox."""

    def __init__(self, browser: Browser, shop: str, sandbox: str, size: dict[str, int]) -> None:
        self.sandbox = sandbox
        context = browser.new_context(
            base_url=shop, viewport=size, locale="en-US", reduced_motion="reduce"
        )
        self.page: Page = context.new_page()
        self.email = f"walk{int(time.time())}@example.org"

    def keep(self, step: str) -> None:
        """Keep what is in view now."""
        self.page.wait_for_load_state("networkidle")
        picture = Image.open(io.BytesIO(self.page.screenshot()))
        width = SHOWN_AT[picture.width]
        small = picture.resize((width, picture.height * width // picture.width))
        small.save(PICTURES / f"{step}.webp", quality=60, method=6)

    def send(self, button: str) -> None:
        self.page.get_by_role("button", name=button).first.click()
        self.page.wait_for_load_state()

    def mailed(self, wanted: re.Pattern[str]) -> str:
        """Return what a mail to this walker has of it, the latest, waiting for half a minute."""
        address = f"{self.sandbox}/mail/api/messages?to={self.email}"
        for _ in range(60):
            with urllib.request.urlopen(address, timeout=5) as answer:
                texts = [each["text"] for each in json.load(answer)["messages"]]
            found = [match for match in map(wanted.search, texts) if match]
            if found:
                return found[0][found[0].lastindex or 0]
            time.sleep(0.5)
        raise TimeoutError(f"no mail to {self.email}")


def buy(walk: Walk) -> None:
    page = walk.page
    page.goto("/")
    walk.keep("buy-1-catalogue")
    page.goto("/courses/ux-writing/")
    walk.keep("buy-2-course")
    page.goto("/checkout/ux-writing/")
    walk.keep("buy-3-checkout")
    walk.send("Continue to payment")
    walk.keep("buy-4-mistakes")
    page.get_by_label("E-mail address").fill(walk.email)
    page.get_by_role("checkbox").check()
    walk.send("Continue to payment")
    page.get_by_label("Card number").fill("4242 4242 4242 4242")
    walk.send("Pay 260.00 USD")
    walk.keep("buy-5-paid")
    page.wait_for_selector("[data-state=ready]", timeout=60_000)
    walk.keep("buy-6-ready")


def own(walk: Walk) -> None:
    page = walk.page
    walk.send("Get an account by code")
    walk.keep("buy-7-code")
    page.get_by_label("Code").fill(walk.mailed(CODE))
    walk.send("Confirm")
    walk.keep("buy-8-my-courses")
    page.get_by_role("link", name="Ask for a refund").click()
    walk.keep("buy-9-refund")
    page.goto("/account/delete/")
    walk.keep("buy-10-delete")
    page.goto("/links/")
    walk.keep("buy-11-link-again")


def apply(walk: Walk) -> None:
    page = walk.page
    page.goto("/grants/")
    walk.keep("apply-1-programs")
    page.goto("/courses/brand-identity-design/")
    page.get_by_role("link", name="Apply for a grant").first.click()
    walk.keep("apply-2-form")
    walk.send("Send the application")
    walk.keep("apply-3-mistakes")
    page.get_by_label("Name").fill("Ivy Chen")
    page.get_by_label("E-mail address").fill(walk.email)
    page.get_by_label("Your situation").fill("I am between two jobs, and we are four at home.")
    page.get_by_label("What the course is for").fill("A studio has a desk for me if I learn this.")
    page.get_by_role("checkbox").check()
    walk.send("Send the application")
    walk.keep("apply-4-sent")
    page.goto(walk.mailed(LINK))
    walk.keep("apply-5-application")


def main() -> None:
    parser = argparse.ArgumentParser(prog="script.walks", description=__doc__)
    parser.add_argument("--shop", default="http://127.0.0.1:8700")
    parser.add_argument("--sandbox", default="http://127.0.0.1:8701")
    options = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for size, steps in ((PHONE, (buy, own)), (LAPTOP, (apply,))):
            walk = Walk(browser, options.shop, options.sandbox, size)
            for step in steps:
                step(walk)
        browser.close()


if __name__ == "__main__":
    main()

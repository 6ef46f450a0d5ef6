"""A second factor is set up, kept, and asked for: an app, and a passkey of the browser's own."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.accounts.test_second_factor import code
from tests.e2e.accounts import PASSWORD, fill_sign_in, sign_up
from tests.e2e.inspection import Inspector
from tests.e2e.running_demo import RunningDemo
from tests.e2e.shopping import new_email
from tests.e2e.visitor import SESSION_COOKIE, Visitor
from tests.sandbox_client import Sandbox

KEY_IN_THE_BROWSER = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def give_passkeys(visitor: Visitor) -> None:
    session = visitor.context.new_cdp_session(visitor.page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": KEY_IN_THE_BROWSER})


def press(page: Page, name: str, heading: str) -> None:
    page.get_by_role("button", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def test_an_app_and_a_passkey_are_set_up_and_the_passkey_signs_in(
    visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector, demo: RunningDemo
) -> None:
    home = demo.url.replace("127.0.0.1", "localhost")  # a passkey belongs to a name
    visitor, email = visit(origins=[home]), new_email()
    page = visitor.page
    sign_up(page, sandbox, email)
    cookie = {"name": SESSION_COOKIE, "value": visitor.session["value"], "url": home}
    visitor.context.add_cookies([cookie])
    give_passkeys(visitor)
    page.goto(f"{home}/accounts/2fa/")
    inspector.look(page, "second-factor-none")
    page.get_by_role("link", name="Set up an app").click()
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Confirm", "Set up an app")
    inspector.look(page, "second-factor-app")
    key = page.locator("code.key").text_content()
    page.get_by_label("Authenticator code").fill(code(secret=key))
    press(page, "Set up", "Recovery codes")
    inspector.look(page, "recovery-codes")
    page.goto(f"{home}/accounts/2fa/webauthn/add/")
    press(page, "Add a passkey", "Second factor")
    inspector.look(page, "second-factor-all")
    page.goto(f"{home}/accounts/2fa/webauthn/")
    inspector.look(page, "passkeys")

    visitor.context.clear_cookies(name=SESSION_COOKIE)
    page.goto(f"{home}/accounts/login/")
    fill_sign_in(page, email, PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    inspector.look(page, "second-factor-asked")
    press(page, "Use a passkey", "My courses")

"""Staff answer twenty applications at different percentages in 22 clicks, and one more by keys."""

from collections.abc import Callable

from playwright.sync_api import Locator, expect

from tests.e2e.granting import MOTIVATION, SITUATION, mail_about, send
from tests.e2e.inspection import Inspector
from tests.e2e.shopping import new_email
from tests.e2e.test_office import enter_office
from tests.e2e.visitor import Visitor
from tests.sandbox_client import Sandbox

AN_ADDRESS_MAY_SEND = 5  # applications in an hour
TWENTY = 20
WORDS = {"situation": SITUATION, "motivation": MOTIVATION, "consent": "on"}


class Hand:
    """Clicks and chooses as staff do, and counts both."""

    def __init__(self) -> None:
        self.clicks = 0

    def click(self, what: Locator) -> None:
        what.click()
        self.clicks += 1

    def choose(self, what: Locator, value: int) -> None:
        what.select_option(str(value))
        self.clicks += 1


def apply_as_many(visit: Callable[..., Visitor], family: str) -> list[str]:
    """Have twenty-one people apply; return their names, each of which is there once."""
    names = [f"{family} {number:02}" for number in range(TWENTY + 1)]
    for place, name in enumerate(names):
        if place % AN_ADDRESS_MAY_SEND == 0:
            page = visit().page
        email = f"{name.replace(' ', '.')}@example.com"
        send(page, "/grants/apply/ux-writing/", name=name, email=email, **WORDS)
    return names


def test_twenty_applications_at_different_percentages_take_22_clicks(
    visit: Callable[..., Visitor], sandbox: Sandbox, inspector: Inspector
):
    family = new_email("triage").split("@")[0]
    *names, last = apply_as_many(visit, family)
    visitor, hand = visit(), Hand()
    enter_office(visitor, "/admin/")
    office = visitor.page
    hand.click(office.get_by_role("link", name="Answer many"))
    for place, name in enumerate(names):
        hand.choose(office.get_by_label(f"Percentage for {name}"), 10 + place % 19 * 5)
    expect(office.locator("#total")).to_contain_text("20 approvals, $")
    inspector.look(office, "office-grants-many", taps=False)
    hand.click(office.get_by_role("button", name="Approve what is chosen"))
    expect(office.get_by_text("20 approved, 0 skipped.")).to_be_visible()
    assert hand.clicks == TWENTY + 2

    office.get_by_role("link", name=last).click()
    expect(office.locator("#chosen")).to_be_visible()
    inspector.look(office, "office-grants-triage", taps=False)
    office.keyboard.press("9")
    expect(office.locator("#chosen")).to_contain_text("At 90 %")
    expect(office.get_by_role("radio", name="90 %")).to_be_checked()
    office.keyboard.press("r")
    expect(office.get_by_label("Reason")).to_be_focused()
    office.keyboard.press("Escape")
    office.keyboard.press("5")
    expect(office.locator("#chosen")).to_contain_text("At 50 %")
    office.keyboard.press("a")
    expect(office.get_by_text(f"{last}: approved at 50 %.")).to_be_visible()
    assert mail_about(sandbox, f"{last.replace(' ', '.')}@example.com", "approved")

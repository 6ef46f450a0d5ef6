"""A member of staff whose clicks the browser counts: also each Enter on a button or a link."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect

from tests.e2e.accounts import STAFF, Person
from tests.e2e.test_office import enter_office
from tests.e2e.visitor import Visitor

# In the browser's own storage, so that the pages of one walk share it.
COUNT_CLICKS = """document.addEventListener('click', event => {
  if (event.isTrusted) sessionStorage.clicks = Number(sessionStorage.clicks || 0) + 1;
}, true)"""
CLICKS = "() => Number(sessionStorage.clicks || 0)"


class Office:
    """A member of staff at the first page of the office, whose clicks are counted."""

    def __init__(self, visitor: Visitor, who: Person = STAFF, *, shop: str = "") -> None:
        self.visitor, self.page, self.who, self.shop = visitor, visitor.page, who, shop
        visitor.context.add_init_script(COUNT_CLICKS)

    @contextmanager
    def within(self, clicks: int) -> Iterator[Page]:
        """Begin at the first page; fail where a task takes more clicks, or fewer than it says."""
        enter_office(self.visitor, f"{self.shop}/admin/", self.who)
        self.page.evaluate("() => { sessionStorage.clicks = 0 }")
        yield self.page
        assert self.clicks == clicks

    @property
    def clicks(self) -> int:
        return int(self.page.evaluate(CLICKS))

    def find(self, email: str) -> None:
        box = self.page.get_by_role("searchbox", name="E-mail address, name, id or code")
        box.fill(email)
        box.press("Enter")
        expect(self.page.get_by_role("heading", name=email)).to_be_visible()

    def section(self, title: str) -> Locator:
        return self.page.get_by_role("region", name=title, exact=True)

"""The control page's part about money: what people press in the demo, without JavaScript."""

import re
from html.parser import HTMLParser

import pytest
import requests

pytestmark = pytest.mark.no_database


class Forms(HTMLParser):
    """Reads the forms of a page as a browser without script would send them."""

    def __init__(self, html):
        super().__init__()
        self.forms = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        entry = dict(attrs)
        if tag == "form":
            self.forms.append(
                {"fields": {}, "buttons": {}, "to": entry["action"], "method": entry["method"]}
            )
        elif tag == "input":
            self.forms[-1]["fields"][entry["name"]] = entry.get("value", "")
        elif tag == "button" and "name" in entry:
            self.forms[-1]["buttons"][entry["aria-label"]] = {entry["name"]: entry["value"]}


@pytest.fixture
def press(sandbox):
    """Press the button of that name and return the answer; more fields are what a person types."""

    def press(label, **typed):
        page = requests.get(f"{sandbox.url}/control/", timeout=5).text
        [form] = [form for form in Forms(page).forms if label in form["buttons"]]
        assert form["method"] == "post"
        data = {**form["fields"], **typed, **form["buttons"][label]}
        return requests.post(sandbox.url + form["to"], data=data, allow_redirects=False, timeout=5)

    return press


def buttons(sandbox):
    page = requests.get(f"{sandbox.url}/control/", timeout=5).text
    return [label for form in Forms(page).forms for label in form["buttons"]]


def test_what_can_be_done_follows_what_has_happened(sandbox, payment, press):
    assert buttons(sandbox) == ["Refund: lea@x.test", "Dispute: lea@x.test", "Inquire: lea@x.test"]
    answer = press("Dispute: lea@x.test")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/control/#payments")
    assert buttons(sandbox) == ["Won: lea@x.test", "Lost: lea@x.test"]
    press("Won: lea@x.test")
    assert sandbox.book("disputes")[0]["status"] == "won"
    assert buttons(sandbox) == ["Refund: lea@x.test"]
    press("Refund: lea@x.test")
    assert buttons(sandbox) == ["Fail: lea@x.test"]
    press("Fail: lea@x.test")
    assert sandbox.book("refunds")[0]["status"] == "failed"


def test_a_dispute_can_be_lost(sandbox, payment, press):
    press("Dispute: lea@x.test")
    press("Lost: lea@x.test")
    assert sandbox.book("disputes")[0]["status"] == "lost"
    assert buttons(sandbox) == []


def test_an_inquiry_can_be_closed_or_escalate(sandbox, client, order, payment, press):
    press("Inquire: lea@x.test")
    assert sandbox.book("disputes")[0]["status"] == "warning_needs_response"
    press("Escalate: lea@x.test")
    assert sandbox.book("disputes")[0]["status"] == "needs_response"
    sandbox.reset()
    sandbox.pay(client.v1.checkout.sessions.create(order).id)
    press("Inquire: lea@x.test")
    press("Close: lea@x.test")
    assert sandbox.book("disputes")[0]["status"] == "warning_closed"


@pytest.mark.parametrize(
    ("typed", "amount"), [("", 4900), ("12.50", 1250), ("12,5", 1250), ("3", 300), (" 0.01 ", 1)]
)
def test_a_refund_takes_an_amount_as_people_write_it(sandbox, payment, press, typed, amount):
    assert press("Refund: lea@x.test", amount=typed).status_code == 303
    assert [refund["amount"] for refund in sandbox.book("refunds")] == [amount]


@pytest.mark.parametrize("typed", ["12.505", "ten", "-5", "0", "1,200.00", "49.01", "."])
def test_an_amount_that_cannot_be_refunded_is_a_sentence(sandbox, payment, press, typed):
    answer = press("Refund: lea@x.test", amount=typed)
    assert answer.status_code == 400
    assert re.search(r'<p class="problem" role="alert">[^<]*amount|more than', answer.text)
    assert sandbox.book("refunds") == []


def test_pending_refunds_are_ended_by_hand(sandbox, payment, press):
    switch = f"{sandbox.url}/control/switch"
    requests.post(switch, data={"action": "refund_status", "refund_status": "pending"}, timeout=5)
    press("Refund: lea@x.test")
    assert buttons(sandbox) == ["Succeed: lea@x.test", "Fail: lea@x.test", "Cancel: lea@x.test"]
    assert (
        "<option selected>pending</option>"
        in requests.get(f"{sandbox.url}/control/", timeout=5).text
    )
    press("Succeed: lea@x.test")
    assert sandbox.book("refunds")[0]["status"] == "succeeded"
    wrong = requests.post(
        switch, data={"action": "refund_status", "refund_status": "maybe"}, timeout=5
    )
    assert wrong.status_code == 400
    assert sandbox.stripe()["refund_status"] == "pending"


def test_an_old_page_does_no_harm(sandbox, payment):
    charge = sandbox.book("charges")[0]["id"]
    sandbox.dispute(payment)
    for form, sentence in (
        ({"action": "refund", "target": charge}, "charged back"),
        ({"action": "refund", "target": "ch_none"}, "There is no"),
        ({"action": "end_refund", "target": "re_none", "status": "lost"}, "There is no such end"),
        ({"action": "decide", "target": "du_none", "status": "won"}, "There is no"),
    ):
        answer = requests.post(f"{sandbox.url}/control/switch", data=form, timeout=5)
        assert (answer.status_code, sentence in answer.text) == (400, True)
    state = sandbox.state()
    assert (state["refunds"], [dispute["status"] for dispute in state["disputes"]]) == (
        [],
        ["needs_response"],
    )


def test_every_field_has_a_name_for_those_who_cannot_see_it(sandbox, payment):
    page = requests.get(f"{sandbox.url}/control/", timeout=5).text
    named = set(re.findall(r'<label for="([^"]+)"', page))
    fields = re.findall(r"<(?:input|select)[^>]*>", page)
    nameless = [
        field for field in fields if "aria-label" not in field and 'type="hidden"' not in field
    ]
    assert {re.search(r'id="([^"]+)"', field)[1] for field in nameless} == named
    assert "<script" not in page

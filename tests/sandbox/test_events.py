"""The list of events: thirty days, by delivery, type and time, a hundred at most a page."""

import pytest
import stripe

from tests.sandbox_client import wait_until

pytestmark = pytest.mark.no_database
DAY = 86400


def types(page):
    return [event.type for event in page.data]


def test_what_was_not_delivered_is_listed_until_it_is(sandbox, client, order, endpoint):
    sandbox.webhooks(retry_base=3600)
    endpoint.statuses = [500, 200]
    first, second = (client.v1.checkout.sessions.create(order) for _ in range(2))
    sandbox.pay(first.id, wait=5)
    sandbox.pay(second.id, wait=5)
    missed = client.v1.events.list({"delivery_success": False})
    assert [event.data.object.id for event in missed.data] == [first.id]
    assert missed.data[0].pending_webhooks == 1
    taken = client.v1.events.list(
        {"delivery_success": True, "types": ["checkout.session.completed"]}
    )
    assert [event.data.object.id for event in taken.data] == [second.id]
    sandbox.advance(3601)
    wait_until(lambda: client.v1.events.list({"delivery_success": False}).data == [])


def test_events_are_kept_for_thirty_days(sandbox, client, order):
    sandbox.pay(client.v1.checkout.sessions.create(order).id)
    old = client.v1.events.list({"limit": 100})
    assert "checkout.session.completed" in types(old)
    sandbox.advance(29 * DAY)
    assert len(client.v1.events.list({"limit": 100}).data) == len(old.data)
    sandbox.advance(2 * DAY)
    assert client.v1.events.list({"limit": 100}).data == []
    assert client.v1.events.retrieve(old.data[0].id).type == old.data[0].type


def test_events_are_found_by_the_time_they_were_made(sandbox, client, order):
    sandbox.pay(client.v1.checkout.sessions.create(order).id)
    sandbox.advance(DAY)
    order["expires_at"] += DAY
    session = client.v1.checkout.sessions.create(order)
    sandbox.expire(session.id)
    [newest] = client.v1.events.list({"limit": 1}).data
    assert newest.type == "checkout.session.expired"
    assert types(client.v1.events.list({"created": {"gte": newest.created}})) == [newest.type]
    before = client.v1.events.list({"created": {"lt": newest.created}})
    assert newest.type not in types(before)
    assert len(before.data) == 3


def test_a_page_has_a_hundred_at_most_and_the_next_begins_after_it(sandbox, client):
    sent = [
        sandbox.send_event("charge.updated", {"id": f"ch_{number}"}, send=False)["id"]
        for number in range(130)
    ]
    first = client.v1.events.list({"limit": 100})
    second = client.v1.events.list({"limit": 100, "starting_after": first.data[-1].id})
    assert (len(first.data), first.has_more, len(second.data), second.has_more) == (
        100,
        True,
        30,
        False,
    )
    assert [event.id for event in first.data + second.data] == sent[::-1]
    assert len(list(client.v1.events.list({"limit": 50}).auto_paging_iter())) == 130


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": 101}, "limit"),
        ({"types": [f"charge.{number}" for number in range(21)]}, "types"),
        ({"types": ["charge.updated"], "type": "charge.updated"}, "types"),
        ({"delivery_success": "maybe"}, "delivery_success"),
        ({"created": {"after": 1}}, "created[after]"),
    ],
)
def test_a_wrong_question_is_refused(client, query, param):
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.events.list(query)
    assert caught.value.param == param

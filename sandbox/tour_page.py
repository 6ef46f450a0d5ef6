"""A tour of five minutes: buy, break the LMS, watch, mend; grants, affiliates, the office."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from sandbox.pages import card, page
from sandbox.wire import Response
from sandbox.world import World

BREAK = (
    '<form method="post" action="/control/switch"><input type="hidden" name="action" value="fault">'
    '<input type="hidden" name="target" value="lms"><input type="hidden" name="mode" value="down">'
    "<button>Take the LMS down</button></form>"
)
MEND = (
    '<form method="post" action="/control/switch"><input type="hidden" name="action" value="clear">'
    "<button>Bring everything back</button></form>"
)
# Heading, what to do, and a form or nothing. {shop} is the shop's address.
STEPS = (
    (
        "1. Buy a course",
        (
            'Open <a href="{shop}/courses/data-analysis-foundations/">Data Analysis'
            " Foundations</a>, enroll with any address, and pay with 4242 4242 4242 4242."
            " The status page says “ready” within seconds, and the e-mail is in the <a"
            ' href="/mail/">mailbox</a>.'
        ),
        "",
    ),
    (
        "2. Break the LMS",
        (
            "From now on the learning platform does not answer. The button leads to the"
            " page with all faults; come back here."
        ),
        BREAK,
    ),
    (
        "3. Buy again, and watch",
        (
            "Buy two other courses. Both payments are recorded. The first status page says that it"
            " takes longer; with the second purchase, or a minute later, the shop knows: both pages"
            ' say what is wrong and that nothing is lost, <a href="{shop}/status/">Status</a> says'
            ' so to everybody within a minute, and the <a href="{shop}/admin/">office</a> since'
            " when, and who waits."
        ),
        "",
    ),
    (
        "4. Mend it",
        ("Within a minute the shop notices by itself, enrolls you in both, and sends the e-mails."),
        MEND,
    ),
    (
        "5. Ask for a grant",
        (
            'Read <a href="{shop}/grants/">the programs</a>, apply from the page of a'
            " course, and decide about it in the <a"
            ' href="{shop}/admin/grants/triage/">office</a>. The code is in the <a'
            ' href="/mail/">mailbox</a>, and works once.'
        ),
        "",
    ),
    (
        "6. Be an affiliate",
        (
            'Sign in at the <a href="{shop}/affiliates/dashboard/">affiliate pages</a> as'
            " partner@maaledu.example / sandbox-partner-only: four months of sales, a"
            " payout, and links."
        ),
        "",
    ),
    (
        "7. Be a learner",
        (
            'Sign in at <a href="{shop}/account/">My courses</a> as learner@maaledu.example /'
            " sandbox-learner-only: one course is begun, and one is done. Ask for a refund, or"
            " sign in with a code and no password instead."
        ),
        "",
    ),
    (
        "8. Run the office",
        (
            'Sign in at the <a href="{shop}/admin/">office</a> as staff@maaledu.example /'
            " sandbox-staff-only: its first page says what needs you. Refund what you bought;"
            " replay the two dead letters, which the LMS takes now; and release the payout that"
            " waits, as finance@maaledu.example / sandbox-finance-only, because it takes two."
        ),
        "",
    ),
)


def show(world: World) -> Response:
    """Return the tour, with links into the shop that sends its webhooks' address."""
    shop = urlsplit(world.webhooks.url)
    address = f"{shop.scheme}://{shop.netloc}" if shop.netloc else ""
    steps = "".join(
        card(heading, f"<p>{text.format(shop=escape(address))}</p>", form)
        for heading, text, form in STEPS
    )
    return page("A tour of five minutes", steps, narrow=True)

"""What servers in use say, and whose fault each of it is (fault E1)."""

import pytest

from notifications.answers import API, CONNECT, DATA, LOGIN, MAIL, RCPT, STARTTLS, judge

pytestmark = pytest.mark.no_database

US, PASSING = "MAIL_NOT_ALLOWED", "MAIL_UNAVAILABLE"
REFUSED, DEFERRED = "MAIL_REFUSED", "MAIL_DEFERRED"

SAID = [
    # About us: quota.
    (US, MAIL, 550, "5.4.5 Daily user sending limit exceeded."),
    (US, DATA, 550, "5.4.5 Daily SMTP relay sending limit exceeded for customer."),
    (US, DATA, 554, "Sending limit exceeded"),
    (US, DATA, 554, "5.7.1 You have exceeded your daily limit of 500 messages"),
    (US, RCPT, 550, "Outgoing mail limit of 300 per hour reached"),
    (US, RCPT, 452, "4.7.1 Hourly message limit exceeded"),
    (US, DATA, 554, "5.2.0 Submission quota exceeded"),
    (US, DATA, 454, "Throttling failure: Daily message quota exceeded."),
    (US, RCPT, 550, "5.1.90 Your message can't be sent: daily limit for message recipients"),
    (US, DATA, 554, "Limit exceeded"),
    (US, MAIL, 550, "Too many messages sent from this account"),
    # About us: login and TLS.
    (US, MAIL, 530, "5.7.0 Authentication Required."),
    (US, MAIL, 530, "5.7.0 Must issue a STARTTLS command first."),
    (US, RCPT, 530, "5.7.57 SMTP; Client was not authenticated to send anonymous mail"),
    (US, DATA, 535, "5.7.3 Authentication unsuccessful"),
    (US, RCPT, 550, "SMTP authentication is required."),
    (US, RCPT, 554, "5.7.14 Please log in with your web browser and then try again."),
    (US, LOGIN, 535, "5.7.8 Username and Password not accepted."),
    (US, LOGIN, 534, "5.7.9 Application-specific password required."),
    (US, LOGIN, 530, "5.7.0 Must issue a STARTTLS command first"),
    (US, LOGIN, 451, "Authentication failed: Maximum credits exceeded"),
    (US, STARTTLS, 502, "5.5.1 Unrecognized command"),
    # About us: the sender.
    (US, MAIL, 553, "5.7.1 <shop@example.com>: Sender address rejected: not owned by user ada"),
    (US, RCPT, 553, "5.7.1 <shop@example.com>: Sender address rejected: not owned by user ada"),
    (US, MAIL, 553, "5.1.8 This sender is refused"),
    (US, RCPT, 450, "4.1.8 <shop@example.com>: Sender address rejected: Domain not found"),
    (US, DATA, 554, "5.2.252 SendAsDenied; shop@example.com not allowed to send as"),
    (US, DATA, 550, "The from address does not match a verified Sender Identity."),
    (US, DATA, 554, "Message rejected: Email address is not verified."),
    (US, MAIL, 501, "Bad address syntax"),
    # About us: relay, reputation, account.
    (US, RCPT, 554, "5.7.1 <ada@example.com>: Relay access denied"),
    (US, RCPT, 550, "5.7.1 Unable to relay"),
    (US, RCPT, 550, "relay not permitted"),
    (
        US,
        RCPT,
        554,
        "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus",
    ),
    (US, DATA, 550, "5.7.26 This mail is unauthenticated: SPF and DKIM did not pass."),
    (
        US,
        DATA,
        550,
        "5.7.1 [192.0.2.1] Our system has detected an unusual rate of unsolicited mail",
    ),
    (US, RCPT, 450, "4.7.1 Client host rejected: cannot find your reverse hostname"),
    (US, RCPT, 550, "5.7.708 Access denied, traffic not accepted from this IP"),
    (US, DATA, 554, "5.7.1 Sending suspended for this account."),
    (US, DATA, 550, "Domain shop.example.com is not allowed to send: Sandbox subdomains"),
    (US, CONNECT, 554, "No SMTP service here"),
    (US, RCPT, 502, "5.7.0 Please authenticate first"),
    (US, RCPT, 553, "5.7.1 Sorry, you must be authenticated to send"),
    (US, DATA, 550, "TLS required"),
    (US, RCPT, 504, "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"),
    (US, RCPT, 550, "Sender verify failed"),
    (US, DATA, 554, "Access denied: User `arn:x` is not authorized to perform `ses:SendRawEmail`"),
    (US, DATA, 554, "5.2.0 OutboundSpamException; WASCL UserAction verdict is Suspend"),
    (US, DATA, 525, "5.7.1 Unauthorized IP address"),
    (US, DATA, 550, "5.7.1 Your SMTP account is not yet activated"),
    (US, DATA, 550, "5.4.6 Unusual sending activity detected"),
    (US, RCPT, 553, "that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    # Passing, of the server as a whole.
    (PASSING, CONNECT, 421, "4.3.2 Service shutting down"),
    (PASSING, CONNECT, 450, "4.3.2 try again"),
    (PASSING, LOGIN, 454, "4.7.0 Temporary authentication failure"),
    (PASSING, STARTTLS, 454, "4.7.0 TLS not available due to temporary reason"),
    (PASSING, MAIL, 421, "4.7.0 Try again later, closing connection."),
    (PASSING, MAIL, 451, "4.3.0 Temporary lookup failure"),
    (PASSING, MAIL, 452, "4.3.1 Insufficient system storage"),
    (PASSING, RCPT, 421, "Too many connections"),
    (PASSING, RCPT, 451, "4.3.5 Server configuration problem"),
    (PASSING, DATA, 452, "4.3.1 Insufficient system resources"),
    (PASSING, DATA, 451, "4.4.2 Timeout waiting for data"),
    (PASSING, DATA, 454, "Throttling failure: Maximum sending rate exceeded."),
    # About this address or message, for now.
    (DEFERRED, RCPT, 450, "4.2.0 <ada@example.com>: Recipient address rejected: Greylisted"),
    (DEFERRED, RCPT, 451, "4.7.1 Greylisting in action, your IP is blocked, come back later"),
    (DEFERRED, RCPT, 452, "4.2.2 The email account that you tried to reach is over quota."),
    (DEFERRED, RCPT, 450, "4.2.1 The user you are trying to contact is disabled"),
    (DEFERRED, RCPT, 451, ""),
    (DEFERRED, RCPT, 450, "4.1.1 <a@b.c>: Recipient address rejected: unverified address: try on"),
    (DEFERRED, DATA, 451, "4.6.0 Message cannot be checked now"),
    (DEFERRED, DATA, 554, "Transaction failed"),
    (DEFERRED, DATA, 550, "Computer says no"),
    # About this address or message, for good.
    (REFUSED, RCPT, 550, "5.1.1 There is no such mailbox"),
    (REFUSED, RCPT, 550, "5.1.1 The email account that you tried to reach does not exist."),
    (REFUSED, RCPT, 550, "No such user here"),
    (REFUSED, RCPT, 550, "5.1.1 <a@b.c>: User unknown in relay recipient table"),
    (REFUSED, RCPT, 553, "5.1.3 The recipient address is not a valid RFC 5321 address."),
    (REFUSED, RCPT, 550, "5.2.1 The email account that you tried to reach is disabled."),
    (REFUSED, RCPT, 552, "5.2.2 Mailbox full, quota exceeded"),
    (REFUSED, RCPT, 552, "Requested mail action aborted: exceeded storage allocation"),
    (REFUSED, RCPT, 550, "5.4.1 Recipient address rejected: Access denied."),
    (REFUSED, RCPT, 550, "5.7.133 Sender not authenticated for group"),
    (REFUSED, RCPT, 550, ""),
    (REFUSED, RCPT, 554, "5.1.2 Bad destination system address"),
    (REFUSED, DATA, 554, "5.7.1 This message was classified as spam"),
    (REFUSED, DATA, 550, "5.6.0 Content rejected: virus found"),
    (REFUSED, DATA, 552, "5.3.4 Message size exceeds fixed limit"),
    (REFUSED, MAIL, 552, "5.3.4 Message too big"),
    # Of a mail service.
    (US, API, 401, "The provided authorization grant is invalid, expired, or revoked"),
    (US, API, 401, "Maximum credits exceeded"),
    (US, API, 403, "The from address does not match a verified Sender Identity."),
    (US, API, 400, "The from email does not contain a valid address."),
    (US, API, 402, "Payment required"),
    (US, API, 404, "not found"),
    (PASSING, API, 429, "too many requests"),
    (PASSING, API, 500, "internal error"),
    (PASSING, API, 503, "<html>gateway</html>"),
    (REFUSED, API, 400, "Does not contain a valid address. personalizations.0.to.0.email"),
    (REFUSED, API, 413, "The JSON payload is too large"),
    # What is none of SMTP's codes is a broken server.
    (PASSING, RCPT, 999, "?"),
    (PASSING, DATA, -1, ""),
]


@pytest.mark.parametrize(("code", "stage", "status", "sentence"), SAID)
def test_an_answer_is_about_us_about_the_message_or_passes(
    code: str, stage: str, status: int, sentence: str
) -> None:
    error = judge(stage, status, sentence)
    assert error.code == code
    assert sentence in str(error)
    assert f"({stage} {status})" in str(error)


def test_only_answers_about_the_message_use_up_an_attempt() -> None:
    uses = {
        judge(stage, status, text).consumes_attempt
        for code, stage, status, text in SAID
        if code in (US, PASSING)
    }
    assert uses == {False}
    assert {judge(s, n, t).consumes_attempt for c, s, n, t in SAID if c in (REFUSED, DEFERRED)} == {
        True
    }


@pytest.mark.parametrize(
    ("stage", "status", "sentence", "says"),
    [
        (LOGIN, 535, "no", "EMAIL_HOST_PASSWORD"),
        (STARTTLS, 502, "no", "EMAIL_USE_TLS"),
        (MAIL, 553, "no", "DEFAULT_FROM_EMAIL"),
        (RCPT, 554, "Relay access denied", "EMAIL_HOST_USER"),
        (DATA, 550, "5.4.5 Daily limit", "as many messages as it lets us"),
        (API, 401, "no", "SENDGRID_API_KEY"),
    ],
)
def test_what_is_about_us_says_what_to_do(
    stage: str, status: int, sentence: str, says: str
) -> None:
    assert says in str(judge(stage, status, sentence))

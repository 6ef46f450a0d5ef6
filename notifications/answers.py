"""What an answer of a mail server or a mail service means: whose fault it is, as one table.

About this message or its address: it is refused for good, or put off and uses up an attempt. About
us (login, sender, quota, reputation): the whole queue waits, and staff are alerted. Passing: the
queue waits for a minute. Source: RFC 3463 (the enhanced code says what an answer is about), RFC
4954, and the sentences of the servers that are in use, which often give no better code than 550.
"""

import re
from collections.abc import Container
from dataclasses import dataclass

from maaledu.errors import AppError
from notifications.errors import MailDeferred, MailNotAllowed, MailRefused, MailUnavailable

CONNECT, STARTTLS, LOGIN = "connect", "STARTTLS", "login"
MAIL, RCPT, DATA = "MAIL", "RCPT", "DATA"
API = "API"  # of a mail service, over HTTP
BEFORE_MAIL = (CONNECT, STARTTLS, LOGIN)
IN_DIALOGUE = (MAIL, RCPT, DATA)
PASSING, FINAL = range(400, 500), range(500, 600)

# The words of each cause, as servers write them, and the enhanced codes that mean it.
GREYLISTED = r"gr[ea]y-?list"
BUSY = (
    r"throttl|too (fast|quickly|many connections)|rate (is )?(limit|exceed)|sending rate|try later"
)
UNKNOWN_RECIPIENT = (
    r"recipient address rejected: .{0,30}(unknown|unverified|undeliverable)|user unknown"
)
OUR_QUOTA = (
    r"sending rate exceeded|too many recipients .{0,20}\b(hour|day)\b|"
    r"\b5\.4\.5\b|\b5\.1\.90\b|maximum credits|submission quota|messages? quota"
    r"|too many (e-?)?mails"
    r"|(daily|hourly|monthly|sending|submission|outgoing|outbound|message|messages|user|account"
    r"|relay|smtp|rate|e?mails?) ((\w+ ){0,3})(limit|quota)"
    r"|(limit|quota)s? (\w+ ){0,4}(send|sent|message|messages|mail|mails|hour|day)\b"
    r"|\b(sending|send) (limit|quota)|too many messages|exceeded .{0,40}\b(limit|per (hour|day))"
    r"|^\W*(\d\.\d\.\d\W+)?(transaction failed\W+)?limits? (exceeded|reached)"
)
MAILBOX_FULL = (
    r"\b[45]\.2\.2\b|(mail)?box (for .{1,80})?(is |size |limit )*(over|full|exceeded)"
    r"|over ?quota|(recipient|mailbox|storage).{0,40}quota|quota.{0,40}(recipient|mailbox|storage)"
    r"|insufficient (mailbox|storage|disk|quota)"
)
AUTHENTICATION = (
    r"\b[45]\.7\.(0 .{0,40}(auth|starttls)|3|8|9|11|14|57)\b|authenticat\w+ (is )?required"
    r"|auth\w* (is )?required|not authenticated|issue a starttls|starttls (is )?(required|first)"
    r"|must use (tls|ssl)|encryption (is )?required|log ?in (first|required|via|with)"
    r"|smtp authentication|\btls (is )?required|(must|please) (be |first )?authenticat"
    r"|please log ?in|sign ?in first|invalid (login|credentials|api key)"
)
RELAYING = (
    r"\b5\.7\.(64|367)\b|relay(ing)?\b|rcpthosts"
    r"|(only|must) .{0,30}local (users|domains|recipients)"
)
OUR_SENDER = (
    r"\b[45]\.1\.[78]\b|\b5\.7\.(27|60)\b|send(ing)? (as|on behalf)|sendas|sender identity"
    r"|(envelope )?(sender|from)( e-?mail)?( address)?( domain)?( <[^>]*>)? ?"
    r"(:|is|was|does|not|must|rejected|denied|refused|unverified|unknown|invalid|mismatch)"
    r"|(sender|from) (address|domain|header|field)|not owned by|not verified|unverified"
    r"|sender verif|mail from .{0,80}(denied|rejected|refused|not (allowed|permitted|accepted))"
)
OUR_REPUTATION = (
    r"\b5\.7\.(2[0-9]|[57]\d\d|606|62\d|6[4-9]\d)\b|(black|block|deny)[- ]?list"
    r"|\b(dns|r)bl\b|spamhaus|spamcop|barracuda|sorbs|blocked using"
    r"|(client|your|sending) (host|ip|server|domain|network)"
    r"|\bip\b.{0,60}(block|reject|denied|listed|reputation|not allowed|unusual|banned)"
    r"|(block|reject|denied|banned).{0,60}\bip\b|reputation|unauthenticated|\bdmarc\b|\bspf\b"
    r"|\bdkim\b|reverse (dns|host)|\bptr\b|unusual (rate|amount|sending)|unsolicited"
    r"|unauthori[sz]ed ip\b|outbound ?spam|\b(helo|ehlo) (command|name)"
)
OUR_ACCOUNT = (
    r"(your|this|sending|sender's?) account"
    r"|account .{0,60}(suspend|review|sending|paus|limit|billing)"
    r"|(sending|service) (is |has been |was )*(suspend|paus|disabl|block)|suspended"
    r"|(domain|sandbox).{0,60}(not allowed to send|test purposes|authorized recipients|disabled)"
    r"|your plan\b|not yet activated|not authorized to perform|security token"
    r"|trial|payment required|subscription|unpaid"
)
MESSAGE_SIZE = r"\b5\.(2\.3|3\.4)\b|(message|size|too) .{0,30}(large|big|long)|maximum .{0,30}size"
RECIPIENTS_RULE = r"\b5\.7\.(2|1[23]\d)\b"  # who may write to that mailbox or list
ABOUT_ADDRESS = (
    r"\b5\.(1\.([0-6]|9|10)|2\.\d|4\.[1246])\b|(no such|unknown|invalid|inactive) "
    r"(\w+ )?(user|mailbox|recipient|address|account)"
    r"|(user|mailbox|recipient|address|account|alias) .{0,80}"
    r"(unknown|not (found|exist|valid|active)|does ?n.t exist|doesn.t|disabled|unavailable"
    r"|inactive|rejected)|no mailbox|not our customer"
)
ABOUT_CONTENT = r"\b5\.6\.\d\b|spam|virus|malware|phish|attachment|content|bare (lf|line)|header"

QUOTA_WORDS = "We have sent as many messages as it lets us. Wait, or raise the limit there."
LOGIN_WORDS = (
    "It does not accept our login. Check EMAIL_HOST_USER and EMAIL_HOST_PASSWORD (SendGrid:"
    " SENDGRID_API_KEY), and whether it asks for TLS (EMAIL_USE_TLS, EMAIL_USE_SSL, EMAIL_PORT)."
)
SENDER_WORDS = "It does not let us send from DEFAULT_FROM_EMAIL. Verify that address there."
RELAY_WORDS = "It relays for us to nobody. Check EMAIL_HOST, EMAIL_HOST_USER and the password."
TRUST_WORDS = "It does not trust us as a sender: address lists, SPF, DKIM, DMARC, or reverse DNS."
ACCOUNT_WORDS = "It says that our account there may not send. Sign in there to see why."
TLS_WORDS = "It offers no TLS as asked for. Check EMAIL_USE_TLS, EMAIL_USE_SSL and EMAIL_PORT."
CONNECT_WORDS = "It turns us away before we say anything. Check EMAIL_HOST and EMAIL_PORT."
API_WORDS = (
    "The service does not know what we ask for. Check EMAIL_DELIVERY_BACKEND and its address."
)


@dataclass(frozen=True)
class Rule:
    """One row: applies at these stages (all where empty) and codes, where the text fits.

    `reason` says what staff have to do.
    """

    error: type[AppError]
    codes: Container[int]
    stages: Container[str] = (*BEFORE_MAIL, *IN_DIALOGUE, API)
    text: str = ""
    reason: str = ""

    def fits(self, stage: str, code: int, text: str) -> bool:
        return (
            stage in self.stages
            and code in self.codes
            and bool(re.search(self.text, text, re.IGNORECASE))
        )


ANY = range(200, 600)
TOO_LARGE = {413}
DIALOGUE_AND_API = (*IN_DIALOGUE, API)
# The first row that fits holds.
RULES = (
    Rule(MailUnavailable, {421}),
    Rule(MailUnavailable, {408, 425, 429, *range(500, 600)}, (API,)),
    # Before the message: nothing here is about it.
    Rule(MailNotAllowed, ANY, BEFORE_MAIL, OUR_QUOTA, QUOTA_WORDS),
    Rule(MailNotAllowed, ANY, BEFORE_MAIL, OUR_ACCOUNT, ACCOUNT_WORDS),
    Rule(MailUnavailable, PASSING, BEFORE_MAIL),
    Rule(MailNotAllowed, ANY, (LOGIN,), reason=LOGIN_WORDS),
    Rule(MailNotAllowed, ANY, (STARTTLS,), reason=TLS_WORDS),
    Rule(MailNotAllowed, FINAL, (CONNECT,), OUR_REPUTATION, TRUST_WORDS),
    Rule(MailNotAllowed, ANY, (CONNECT,), reason=CONNECT_WORDS),
    # A mail service's answer about key, account or address of its API.
    Rule(MailNotAllowed, {401, 402, 403}, (API,), OUR_QUOTA, QUOTA_WORDS),
    Rule(MailNotAllowed, {401, 402, 403}, (API,), OUR_SENDER, SENDER_WORDS),
    Rule(MailNotAllowed, {401}, (API,), reason=LOGIN_WORDS),
    Rule(MailNotAllowed, {402, 403}, (API,), reason=ACCOUNT_WORDS),
    Rule(MailNotAllowed, {404, 405, 410, *range(200, 400)}, (API,), reason=API_WORDS),
    Rule(MailRefused, TOO_LARGE, (API,)),
    # Put off, for the address alone or for everything.
    Rule(MailDeferred, PASSING, (RCPT, DATA), GREYLISTED),
    # Said of the recipient, with words that are otherwise about us (“relay”, “unverified”).
    Rule(MailDeferred, PASSING, (RCPT,), UNKNOWN_RECIPIENT),
    Rule(MailRefused, FINAL, (RCPT,), UNKNOWN_RECIPIENT),
    Rule(
        MailNotAllowed, PASSING, IN_DIALOGUE, r"(daily|monthly) .{0,20}(quota|limit)", QUOTA_WORDS
    ),
    Rule(MailUnavailable, PASSING, IN_DIALOGUE, BUSY),
    Rule(MailDeferred, PASSING, (RCPT, DATA), MAILBOX_FULL),
    Rule(MailRefused, FINAL, IN_DIALOGUE, MESSAGE_SIZE),
    # Servers say “quota” of a mailbox as well as of a sender.
    Rule(MailNotAllowed, ANY, DIALOGUE_AND_API, r"\b5\.4\.5\b|submission quota", QUOTA_WORDS),
    Rule(MailRefused, FINAL, (RCPT, DATA), MAILBOX_FULL),
    Rule(MailRefused, FINAL, (RCPT, DATA), RECIPIENTS_RULE),
    Rule(MailNotAllowed, {530, 534, 535, 538}, IN_DIALOGUE, reason=LOGIN_WORDS),
    Rule(MailNotAllowed, ANY, DIALOGUE_AND_API, OUR_QUOTA, QUOTA_WORDS),
    Rule(MailNotAllowed, ANY, DIALOGUE_AND_API, AUTHENTICATION, LOGIN_WORDS),
    Rule(MailNotAllowed, ANY, IN_DIALOGUE, RELAYING, RELAY_WORDS),
    Rule(MailNotAllowed, ANY, DIALOGUE_AND_API, OUR_REPUTATION, TRUST_WORDS),
    Rule(MailNotAllowed, ANY, DIALOGUE_AND_API, OUR_SENDER, SENDER_WORDS),
    Rule(MailNotAllowed, FINAL, (MAIL,), reason=SENDER_WORDS),
    Rule(MailUnavailable, PASSING, (MAIL,)),
    Rule(MailRefused, FINAL, (RCPT, DATA), ABOUT_ADDRESS),
    Rule(MailNotAllowed, ANY, DIALOGUE_AND_API, OUR_ACCOUNT, ACCOUNT_WORDS),
    # 4.3 and 4.4 are about the server and its network.
    Rule(MailUnavailable, PASSING, (RCPT, DATA), r"\b4\.[34]\.\d"),
    Rule(MailDeferred, PASSING, (RCPT, DATA)),
    Rule(MailRefused, FINAL, (RCPT,)),
    Rule(MailRefused, FINAL, (DATA,), ABOUT_CONTENT),
    # Nobody knows what it means: tried again, and dead when the attempts are used up.
    Rule(MailDeferred, FINAL, (DATA,)),
    Rule(MailRefused, PASSING, (API,)),
)


def judge(stage: str, code: int, sentence: str) -> AppError:
    """Return the error that an answer stands for, by the first row that fits, with its sentence.

    A code that is none of SMTP's (a broken server) is an outage.
    """
    rule = next((rule for rule in RULES if rule.fits(stage, code, sentence)), None)
    error = rule.error if rule else MailUnavailable
    says = f" It says: “{sentence}”" if sentence else ""
    reason = f" {rule.reason}" if rule and rule.reason else ""
    return error(f"{error.message}{reason}{says} ({stage} {code})", stage=stage, status=code)

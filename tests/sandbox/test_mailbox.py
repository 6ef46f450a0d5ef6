"""The mailbox: what comes in by SMTP, what is shown, and how a mail server fails."""

import smtplib
import time
from email.message import EmailMessage

import pytest
import requests

from tests.sandbox_client import wait_until

pytestmark = pytest.mark.no_database


def letter(to="lea@x.test", subject="Your course is ready"):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = (
        "MaalEdu <hello@shop.example>",
        to,
        subject,
        "<id-1@shop.example>",
    )
    mail.set_content("Dear Zoë,\nopen https://shop.example/course?a=1&b=2.\n")
    mail.add_alternative("<p>Dear <b>Zoë</b></p>", subtype="html")
    return mail


def send(sandbox, mail=None, timeout=5.0):
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port, timeout=timeout) as smtp:
        return smtp.send_message(mail or letter())


def test_a_mail_is_kept_with_all_its_parts(sandbox):
    send(sandbox)
    [mail] = sandbox.mails()
    assert (mail["from"], mail["to"], mail["subject"]) == (
        "MaalEdu <hello@shop.example>",
        ["lea@x.test"],
        "Your course is ready",
    )
    assert mail["text"].startswith("Dear Zoë,")
    assert mail["html"].strip() == "<p>Dear <b>Zoë</b></p>"
    assert mail["message_id"] == "<id-1@shop.example>"
    assert ["Subject", "Your course is ready"] in mail["headers"]
    assert abs(mail["received_at"] - time.time()) < 5


def test_newest_first_by_address_and_deleted(sandbox):
    for number in range(3):
        send(sandbox, letter(f"m{number % 2}@x.test", f"Mail {number}"))
    assert [mail["subject"] for mail in sandbox.mails()] == ["Mail 2", "Mail 1", "Mail 0"]
    assert [mail["subject"] for mail in sandbox.mails("M0@x.test")] == ["Mail 2", "Mail 0"]
    sandbox.clear_mails()
    assert sandbox.mails() == []


def test_pages_show_mail_safely(sandbox):
    send(sandbox, letter(subject="<script>alert(1)</script>"))
    listing = requests.get(f"{sandbox.url}/mail/", timeout=5)
    assert listing.status_code == 200
    assert "&lt;script&gt;alert(1)" in listing.text
    assert "<script" not in listing.text
    number = sandbox.mails()[0]["number"]
    page = requests.get(f"{sandbox.url}/mail/{number}", timeout=5).text
    assert '<a href="https://shop.example/course?a=1&amp;b=2">' in page
    assert 'srcdoc="&lt;base target=&quot;_top&quot;&gt;&lt;p&gt;Dear' in page
    assert "<script" not in page
    assert requests.get(f"{sandbox.url}/mail/999999", timeout=5).status_code == 404
    assert "No mail yet" in requests.post(f"{sandbox.url}/mail/delete", timeout=5).text


def test_down_is_a_421(sandbox):
    sandbox.fault("smtp", "down")
    with pytest.raises(smtplib.SMTPConnectError) as caught:
        send(sandbox)
    assert caught.value.smtp_code == 421
    sandbox.heal()
    send(sandbox)
    assert len(sandbox.mails()) == 1


@pytest.mark.parametrize(("mode", "code"), [("reject", 550), ("greylist", 451)])
def test_refused_recipients(sandbox, mode, code):
    sandbox.fault("smtp", mode, times=1)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        send(sandbox)
    assert caught.value.recipients["lea@x.test"][0] == code
    assert sandbox.mails() == []
    send(sandbox)
    assert len(sandbox.mails()) == 1


def test_one_address_can_be_refused(sandbox):
    sandbox.fault("smtp", "reject", "RCPT bad@x.test")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(sandbox, letter("bad@x.test"))
    assert send(sandbox, letter("good@x.test")) == {}


def test_refused_sender(sandbox):
    sandbox.fault("smtp", "sender_refused")
    with pytest.raises(smtplib.SMTPSenderRefused):
        send(sandbox)


def test_hanging_is_a_time_out_and_nothing_is_kept(sandbox):
    sandbox.fault("smtp", "hang", seconds=2)
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        send(sandbox, timeout=0.3)
    assert sandbox.mails() == []


def test_dropping_before_the_250_keeps_the_mail(sandbox):
    sandbox.fault("smtp", "drop", times=1)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        send(sandbox)
    assert len(sandbox.mails()) == 1


def test_slow_is_late_but_right(sandbox):
    sandbox.fault("smtp", "slow", seconds=0.4)
    started = time.monotonic()
    send(sandbox)
    assert time.monotonic() - started >= 0.4
    assert len(wait_until(sandbox.mails)) == 1


def test_a_mail_that_is_no_mail_is_kept(sandbox):
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port, timeout=5) as smtp:
        smtp.sendmail(
            "a@x.test",
            ["b@x.test"],
            b"Content-Type: text/plain; charset=nonsense\r\n\r\n\xff\xfe broken",
        )
    [mail] = sandbox.mails()
    assert mail["to"] == ["b@x.test"]
    assert "broken" in mail["text"]

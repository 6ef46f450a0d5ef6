"""Where the LMS may be: contracts/reliability, row 83."""

import pytest
from pytest_django import Settings

from courses.models import Course, connected_platforms
from lms_sync.checks import check_lms_settings
from lms_sync.connection import platform_for
from lms_sync.errors import LmsMisconfigured
from lms_sync.platforms.address import check_base_url, check_key, check_resolved, is_private
from lms_sync.platforms.sockets import open_socket
from tests.lms_sync.rawserver import raw_server

pytestmark = pytest.mark.no_database


@pytest.fixture
def production(settings: Settings) -> Settings:
    settings.PRODUCTION = True
    settings.LMS_PRIVATE_HOSTS = []
    return settings


@pytest.mark.parametrize(
    "url", ["https://learn.example.org", "https://learn.example.org:8443/lms", "https://8.8.8.8"]
)
def test_a_public_https_address_is_accepted(production: Settings, url: str) -> None:
    check_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "learn.example.org",
        "//learn.example.org",
        "gopher://learn.example.org",
        "file:///etc/passwd",
        "ftp://learn.example.org",
        "javascript:alert(1)",
        "https://",
        "https://lms.example@evil.example",
        "https://user:pass@lms.example",
        "https://lms.example#",
        "https://lms.example/#x",
        "https://lms.example?",
        "https://lms.example/?a=b",
        "https://lms example",
        "https://lms.example\n",
        "https://lms.example\\@evil",
        "https://lms.example:port",
        "https://lms.example:99999",
        "https://[::1",
        "https://2130706433",
        "https://0x7f.1",
        "https://0177.0.0.1",
        "https://127.1",
        "https://-lms.example",
        "https://lms..example",
        "https://.",
    ],
)
@pytest.mark.parametrize("live", [True, False], ids=["production", "development"])
def test_what_is_no_address_of_an_lms_is_refused_everywhere(
    settings: Settings, url: str, live: bool
) -> None:
    settings.PRODUCTION = live
    with pytest.raises(LmsMisconfigured) as caught:
        check_base_url(url)
    assert caught.value.reason.startswith("FRAPPE_LMS_BASE_URL ")


@pytest.mark.parametrize(
    "url",
    [
        "http://learn.example.org",
        "https://127.0.0.1",
        "https://localhost",
        "https://LMS.localhost",
        "https://10.0.0.1",
        "https://192.168.1.1",
        "https://169.254.169.254",
        "https://[::1]",
        "https://[fe80::1]",
        "https://[fc00::1]",
        "https://[::ffff:10.0.0.1]",
        "https://0.0.0.0",
        "https://100.64.0.1",
        "https://224.0.0.1",
        "https://[2002:7f00:1::]",
    ],
)
def test_plain_http_and_private_addresses_are_refused_in_production_only(
    settings: Settings, url: str
) -> None:
    settings.PRODUCTION = False
    check_base_url(url)
    settings.PRODUCTION = True
    with pytest.raises(LmsMisconfigured):
        check_base_url(url)


def test_a_name_that_points_inward_is_refused_when_it_is_resolved(production: Settings) -> None:
    check_resolved("learn.example.org", ["8.8.8.8"])
    with pytest.raises(LmsMisconfigured):
        check_resolved("learn.example.org", ["8.8.8.8", "10.0.0.7"])
    production.LMS_PRIVATE_HOSTS = ["learn.example.org"]
    check_resolved("learn.example.org", ["10.0.0.7"])


def test_no_connection_is_made_to_an_inward_address(production: Settings) -> None:
    with raw_server([b"HTTP/1.1 200 OK\r\n\r\n"]) as server:
        with pytest.raises(LmsMisconfigured):
            open_socket("localhost", server.port, timeout=1)
        production.LMS_PRIVATE_HOSTS = ["localhost"]
        open_socket("localhost", server.port, timeout=1).close()
    assert len(server.requests) <= 1


@pytest.mark.parametrize(
    "host", ["::ffff:127.0.0.1", "fe80::1%eth0", "127.0.0.1", "localhost", "::"]
)
def test_private_hosts_are_known_in_every_spelling(host: str) -> None:
    assert is_private(host)


@pytest.mark.parametrize(
    "key",
    ["", "key", "key:", ":secret", "key: secret", "kéy:secret", "key:secret\n", "ke\ty:secret"],
)
def test_a_key_frappe_would_take_for_a_guests_is_refused(key: str) -> None:
    with pytest.raises(LmsMisconfigured) as caught:
        check_key(key)
    assert "FRAPPE_LMS_API_KEY" in caught.value.reason
    assert "secret" not in caught.value.reason.replace("key:secret", "")


def test_production_does_not_start_without_address_and_key(production: Settings) -> None:
    production.FRAPPE_LMS_BASE_URL, production.FRAPPE_LMS_API_KEY = "", ""
    assert [message.id for message in check_lms_settings()] == ["lms_sync.E001", "lms_sync.E002"]
    production.FRAPPE_LMS_BASE_URL, production.FRAPPE_LMS_API_KEY = (
        "https://learn.example.org",
        "key:secret",
    )
    assert check_lms_settings() == []
    production.OPENEDX_BASE_URL, production.OPENEDX_CLIENT_SECRET = "http://edx.example.org", ""
    assert [message.id for message in check_lms_settings()] == ["lms_sync.E003", "lms_sync.E004"]
    assert all("OPENEDX_" in message.msg for message in check_lms_settings())
    production.OPENEDX_BASE_URL, production.OPENEDX_CLIENT_SECRET = "https://edx.example.org", "s"
    production.FRAPPE_LMS_BASE_URL = ""
    assert check_lms_settings() == []


def test_a_platform_without_a_driver_says_so(settings: Settings) -> None:
    with pytest.raises(LmsMisconfigured) as caught:
        platform_for("openedx")
    assert caught.value.reason == "No driver for openedx is configured."
    settings.FRAPPE_DRIVER = "soap"
    with pytest.raises(LmsMisconfigured):
        platform_for("frappe")


@pytest.mark.parametrize(
    ("frappe", "openedx", "sold"),
    [
        ("https://lms.example.org", "", ["frappe"]),
        ("", "https://edx.example.org", ["openedx"]),
        ("https://lms.example.org", "https://edx.example.org", ["frappe", "openedx"]),
        ("", "", []),
    ],
)
def test_what_can_be_sold_is_what_has_a_driver(
    settings: Settings, frappe: str, openedx: str, sold: list[str]
) -> None:
    """Courses are put on sale by `connected_platforms`, jobs are delivered by `platform_for`: the
    two must agree.
    """
    settings.FRAPPE_LMS_BASE_URL, settings.OPENEDX_BASE_URL = frappe, openedx

    def has_driver(platform: str) -> bool:
        try:
            return bool(platform_for(platform))
        except LmsMisconfigured:
            return False

    assert [platform for platform in Course.Platform.values if has_driver(platform)] == sold
    assert connected_platforms() == sold

import pytest

from maaledu.addresses import blur_address, client_address, client_network, is_own_path

pytestmark = pytest.mark.no_database


def ask(rf, remote="10.0.0.9", forwarded=None):
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return rf.get("/", REMOTE_ADDR=remote, **headers)


def test_without_trusted_proxies_the_header_is_ignored(rf, settings):
    settings.TRUSTED_PROXY_COUNT = 0
    assert client_address(ask(rf, "203.0.113.7", "198.51.100.1")) == "203.0.113.7"


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        (1, "1.1.1.1, 2.2.2.2, 3.3.3.3 ,198.51.100.1", "198.51.100.1"),
        (2, "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        (2, "198.51.100.1", "10.0.0.9"),
        (1, "", "10.0.0.9"),
        (1, "not an address", "10.0.0.9"),
        (1, "198.51.100.1, ", "10.0.0.9"),
        (1, "198.51.100.1:4711", "198.51.100.1"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "2001:DB8:0::1", "2001:db8::1"),
        (1, "::ffff:198.51.100.1", "198.51.100.1"),
        (1, "fe80::1%eth0", "fe80::1"),
        (1, "198.51.100.1\n", "198.51.100.1"),
        (1, "0x7f.1", "10.0.0.9"),
    ],
)
def test_the_entry_our_outermost_proxy_wrote_counts(rf, settings, proxies, forwarded, address):
    settings.TRUSTED_PROXY_COUNT = proxies
    assert client_address(ask(rf, forwarded=forwarded)) == address


def test_a_connection_without_an_address_is_unknown(rf):
    assert client_address(ask(rf, remote="")) == "unknown"


def test_limits_count_an_ipv6_subscriber_as_one(rf):
    one, other = "2001:db8:1:2:aaaa::1", "2001:db8:1:2:bbbb::2"
    assert client_network(ask(rf, one)) == client_network(ask(rf, other)) == "2001:db8:1:2::/64"
    assert client_network(ask(rf, "2001:db8:1:3::1")) == "2001:db8:1:3::/64"
    assert client_network(ask(rf, "203.0.113.7")) == "203.0.113.7"


@pytest.mark.parametrize(
    ("address", "blurred"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2::1", "2001:db8:1::/48"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_is_blurred_for_the_log(address, blurred):
    assert blur_address(address) == blurred


@pytest.mark.parametrize(
    "url", ["/", "/account/", "/courses/?q=a%20b&level=beginner", "/%2f%2fevil.example", "/a#b"]
)
def test_a_path_of_ours_is_one(url):
    assert is_own_path(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "http:///evil.example",
        "javascript:alert(1)",
        "/ok\r\nSet-Cookie: a=b",
        "/\tevil",
        "\x08//evil.example",
        " //evil.example",
        "ｈttp://evil.example",
        "account",
        "user@evil.example",
        "//testserver@evil.example",
        "http://testserver/",
    ],
)
def test_anything_that_could_lead_elsewhere_is_not(url):
    assert not is_own_path(url)

"""A private network of bare machines, for `script/try-guide --several`.

Each machine has a network namespace of its own at a bridge, which is in one more. slirp4netns
leads from there to Debian's and Python's packages; nothing of this host's own network is changed.
"""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SWITCH = "guide-switch"
GATEWAY = "10.0.0.1"
UPLINK = "tap0"
UPLINK_SECONDS = 20


@contextmanager
def private_network(addresses: Mapping[str, str]) -> Iterator[None]:
    """Namespaces named as in `addresses`, each with its address, until the block ends."""
    _remove(addresses)
    _ip("netns", "add", SWITCH)
    _ip("-n", SWITCH, "link", "add", "bridge", "type", "bridge")
    _ip("-n", SWITCH, "addr", "add", f"{GATEWAY}/24", "dev", "bridge")
    _up(SWITCH, "bridge")
    for name, address in addresses.items():
        _connect(name, address)
    uplink = _lead_outside()
    try:
        yield
    finally:
        uplink.terminate()
        uplink.wait()
        _remove(addresses)


def _connect(name: str, address: str) -> None:
    _ip("netns", "add", name)
    _ip("-n", SWITCH, "link", "add", name, "type", "veth", "peer", "name", "host0", "netns", name)
    _ip("-n", SWITCH, "link", "set", name, "master", "bridge")
    _up(SWITCH, name)
    _ip("-n", name, "addr", "add", f"{address}/24", "dev", "host0")
    _up(name, "lo")
    _up(name, "host0")
    _ip("-n", name, "route", "add", "default", "via", GATEWAY)


def _lead_outside() -> "subprocess.Popen[bytes]":
    inside = ["ip", "netns", "exec", SWITCH]
    subprocess.run([*inside, "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
    rule = ["-t", "nat", "-A", "POSTROUTING", "-o", UPLINK, "-j", "MASQUERADE"]
    subprocess.run([*inside, "iptables", *rule], check=True)
    path = f"/run/netns/{SWITCH}"
    options = ["--configure", "--disable-host-loopback", "--netns-type=path"]
    uplink = subprocess.Popen(
        ["slirp4netns", *options, path, UPLINK],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + UPLINK_SECONDS
    while subprocess.run(
        ["ip", "-n", SWITCH, "route", "get", "192.0.2.1"], capture_output=True, check=False
    ).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError(f"slirp4netns made no way out in {UPLINK_SECONDS} s")
        time.sleep(0.2)
    return uplink


def _remove(addresses: Mapping[str, str]) -> None:
    for name in (*addresses, SWITCH):
        if Path("/run/netns", name).exists():
            _ip("netns", "del", name)


def _up(namespace: str, link: str) -> None:
    _ip("-n", namespace, "link", "set", link, "up")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)

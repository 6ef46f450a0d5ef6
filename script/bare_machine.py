"""A bare Debian 12 that is booted with systemd, for `script/try-guide`.

debootstrap makes it and systemd-nspawn boots it: both are Debian's packages, as is slirp4netns for
several machines, and it takes root.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates,iproute2"
MIRROR = "http://deb.debian.org/debian"
AUTHORITIES = Path("/usr/local/share/ca-certificates")
TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
CONTROL_GROUPS = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"))
BOOT_SECONDS = 60
DONE = "block-is-done"


class Failed(Exception):
    """A block ended with an error; the message holds the end of what it wrote."""


class Machine:
    """One Debian, booted; what is run in it is run in one shell."""

    def __init__(self, root: Path, source: Path, network: str = "") -> None:
        """Boot nothing yet. `network`: the name of a network namespace, or this host's network."""
        self.root, self.source, self.network = root, source, network
        self.log = root.with_suffix(".log").open("w")

    def boot(self) -> None:
        options = ["--register=no", "--keep-unit", "--boot", "--console=pipe"]
        cache = self.root.parent / "pip"
        cache.mkdir(exist_ok=True)
        binds = [f"--bind-ro={self.source}:/mnt/source", f"--bind={cache}:/mnt/pip"]
        if self.network:
            options += [f"--network-namespace-path=/run/netns/{self.network}"]
            options += ["--resolv-conf=replace-host"]
        self._nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "-D", str(self.root), *options, *binds],
            preexec_fn=self._enter_own_group,  # noqa: PLW1509 it writes two small files
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + BOOT_SECONDS
        while not self._is_up():
            if time.monotonic() > deadline:
                raise Failed(f"{self.root.name} did not boot in {BOOT_SECONDS} s")
            time.sleep(1)
        self._shell = subprocess.Popen(
            self._inside("bash", "-e", "-o", "pipefail"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.run(
            "cd /; export HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive"
            " PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            f" PIP_CERT={TRUSTED} PIP_CACHE_DIR=/mnt/pip GIT_SSL_CAINFO={TRUSTED}"
        )

    def run(self, code: str) -> str:
        """Run a block in the machine's shell, and return what it wrote. Raises Failed."""
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"{code}\necho {DONE}\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.strip() == DONE:
                return "".join(lines)
            lines.append(line)
            self.log.write(line)
            self.log.flush()
        raise Failed(f"this ended with an error:\n{code}\n{''.join(lines[-30:])}")

    def stop(self) -> None:
        self._shell.kill()
        subprocess.run(self._inside("systemctl", "poweroff"), check=False, capture_output=True)
        self._nspawn.wait(60)

    def _enter_own_group(self) -> None:
        """Two booted machines in one control group would end each other's processes."""
        for tree in CONTROL_GROUPS:
            if tree.exists():
                group = tree / f"maaledu-guide-{self.root.name}"
                group.mkdir(exist_ok=True)
                (group / "cgroup.procs").write_text(str(os.getpid()))

    def _inside(self, *command: str) -> list[str]:
        return ["nsenter", "--target", self._leader(), "--all", *command]

    def _leader(self) -> str:
        found = subprocess.run(
            ["pgrep", "-P", str(self._nspawn.pid)], capture_output=True, text=True, check=False
        )
        return found.stdout.split()[0] if found.stdout else "0"

    def _is_up(self) -> bool:
        if self._leader() == "0":
            return False
        asked = subprocess.run(
            self._inside("systemctl", "is-system-running"),
            capture_output=True,
            text=True,
            check=False,
        )
        return asked.stdout.strip() in {"running", "degraded"}


@contextmanager
def booted(directory: Path, name: str, source: Path, network: str = "") -> Iterator[Machine]:
    """A machine of its own, from the bare one that debootstrap has made."""
    bare, root = directory / "bare", directory / name
    if not bare.exists():
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", bare, MIRROR],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for authority in AUTHORITIES.glob("*.crt"):
            shutil.copy(authority, bare / "usr/local/share/ca-certificates")
        subprocess.run(["chroot", bare, "update-ca-certificates"], check=True, capture_output=True)
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", bare, root], check=True)
    machine = Machine(root, source, network)
    machine.boot()
    try:
        yield machine
    finally:
        machine.stop()

"""`script/try-guide --several`: the guide's part for several machines, on six bare Debians.

PostgreSQL with Redis, two with web, two with the worker, of which one has the scheduler; and one
that plays Stripe, LMS, mail server and what shares visitors out among the two with web.
"""

import shutil
from contextlib import ExitStack
from pathlib import Path

from script.bare_machine import Machine, booted
from script.bare_network import private_network
from script.children import ROOT
from script.guide import (
    AUTHORITY,
    BY_HAND,
    COUNT,
    COURSE,
    END_LOAD,
    HOST,
    LOAD,
    NAMES,
    OUTSIDE,
    TRUST,
    blocks,
    buy,
    step,
)

DATABASE, OUTSIDE_ADDRESS = "10.0.0.2", "10.0.0.9"
ADDRESSES = {
    "guide-database": DATABASE,
    "guide-web-1": "10.0.0.3",
    "guide-web-2": "10.0.0.4",
    "guide-worker-1": "10.0.0.5",
    "guide-worker-2": "10.0.0.6",
    "guide-outside": OUTSIDE_ADDRESS,
}
FILES = (
    "/usr/local/share/ca-certificates/trial.crt",
    f"/etc/letsencrypt/live/{HOST}/fullchain.pem",
    f"/etc/letsencrypt/live/{HOST}/privkey.pem",
)
BALANCER = f"""
cat > /etc/nginx/sites-enabled/shop << 'END'
upstream shop {{
    server {ADDRESSES["guide-web-1"]}:443 fail_timeout=5s;
    server {ADDRESSES["guide-web-2"]}:443 fail_timeout=5s;
}}
server {{
    listen 443 ssl;
    server_name {HOST};
    ssl_certificate /etc/letsencrypt/live/{HOST}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/{HOST}/privkey.pem;
    location / {{
        proxy_pass https://shop;
        proxy_ssl_name {HOST};
        proxy_ssl_server_name on;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_connect_timeout 2s;
    }}
}}
END
"""


def try_several(directory: Path, before: str, after: str) -> None:
    """Go through parts 3a, 3c, 4, 6, 7 and 8 of the guide."""
    with private_network(ADDRESSES), ExitStack() as stack:
        Several(directory, stack, before, after).go_through()


class Several:
    """The machines, and what the guide says is done with them."""

    def __init__(self, directory: Path, stack: ExitStack, before: str, after: str) -> None:
        self.directory, self.stack, self.before, self.after = directory, stack, before, after
        self.database, *shop, self.outside = [self._boot(name) for name in ADDRESSES]
        self.web, self.workers, self.shop = shop[:2], shop[2:], shop
        self.scheduler = self.workers[0]

    def go_through(self) -> None:
        self.install()
        buy(self.outside)
        self.stop_one_of_each()
        self.upgrade_under_load()
        buy(self.outside)
        self.back()
        buy(self.outside)
        self.upgrade_under_load()
        self.backed_up_wiped_restored()

    def install(self) -> None:
        step("what is outside: Stripe, LMS, mail server, balancer")
        self._prepare_outside()
        step("3c, PostgreSQL and Redis")
        lines = self._make_database()
        step("3a, each machine")
        for machine in self.shop:
            self._install(machine)
        step("3c, settings")
        self._make_settings(lines)
        step("3c and 4, web")
        for machine in self.web:
            self._start_web(machine)
        step("3c, workers and scheduler")
        for machine in self.workers:
            run(machine, "worker")
        run(self.scheduler, "scheduler")
        self.scheduler.run(COURSE)

    def stop_one_of_each(self) -> None:
        for stopped in ((self.web[0], self.workers[1]), (self.web[1], self.workers[0])):
            step(f"without {' and '.join(machine.root.name for machine in stopped)}")
            for machine in stopped:
                machine.stop()
            for _ in range(2):
                buy(self.outside)
            for machine in stopped:
                machine.boot()
        step("all are back, by themselves")
        self._examine()
        buy(self.outside)

    def upgrade_under_load(self) -> None:
        step(f"6, from {self.before[:8]} to {self.after[:8]} under load")
        self.outside.run(LOAD)
        [fetch] = blocks("upgrade")
        for machine in self.shop:
            machine.run(fetch.replace("VERSION=origin/main", f"VERSION={self.after}"))
        for machine in self.web:
            run(machine, "prepare")
        for machine in self.shop:
            run(machine, "release-several")
        self._examine()
        print(self.outside.run(END_LOAD).strip())
        self._serve(self.after)

    def back(self) -> None:
        step("7, back")
        for machine in self.shop:
            run(machine, "back-several")
        self._examine()
        self._serve(self.before)

    def backed_up_wiped_restored(self) -> None:
        step("8, backed up")
        run(self.scheduler, "backup")
        buy(self.outside)
        sold = self.scheduler.run(COUNT).strip()
        step("8, the database's machine is lost, and made anew")
        stop, restore, start = blocks("restore")
        for machine in self.shop:
            machine.run(stop)
        self.database.stop()
        self.database = self._boot("guide-database")
        lines = self._make_database()
        for machine in self.shop:
            replace_addresses(machine, lines)
        step("8, restored")
        self.scheduler.run(restore)
        for machine in self.shop:
            machine.run(start)
        self._examine()
        found = self.scheduler.run(COUNT).strip()
        assert found == sold, f"{sold} were sold, {found} are here"
        print(f"{sold} sold, one of them after the backup; {found} after the restore")
        buy(self.outside)

    def _boot(self, name: str) -> Machine:
        return self.stack.enter_context(booted(self.directory, name, ROOT, network=name))

    def _prepare_outside(self) -> None:
        machine = self.outside
        machine.run("apt-get update")
        machine.run(
            "apt-get install -y --no-install-recommends ca-certificates git curl nginx openssl"
            " python3 python3-venv"
        )
        machine.run(AUTHORITY)
        machine.run(TRUST)
        machine.run(f"echo 127.0.0.1 {NAMES} >> /etc/hosts")
        machine.run(BALANCER)
        machine.run(OUTSIDE)

    def _make_database(self) -> str:
        """Make PostgreSQL and Redis, and return the lines that the others' settings get."""
        run(self.database, "database")
        return self.database.run(f"""
echo "DATABASE_URL=postgres://maaledu:${{DATABASE_PASSWORD}}@{DATABASE}:5432/maaledu"
echo "REDIS_URL=redis://:${{REDIS_PASSWORD}}@{DATABASE}:6379/0"
""")

    def _install(self, machine: Machine) -> None:
        variables, install = blocks("machine")
        machine.run(variables)
        machine.run(f"HOST={HOST}; SOURCE=/mnt/source; VERSION={self.before}")
        machine.run(install)
        machine.run(f"echo {OUTSIDE_ADDRESS} {NAMES} >> /etc/hosts")
        for path in FILES:
            copy(self.outside, machine, path)
        machine.run(TRUST)

    def _make_settings(self, lines: str) -> None:
        """Make them once, on the first machine, and copy them to the others."""
        settings, _ = blocks("one-machine")
        first, *others = self.shop
        first.run(settings)
        first.run(BY_HAND)
        first.run("sed -i s/^TRUSTED_PROXY_COUNT=.*/TRUSTED_PROXY_COUNT=2/ /etc/maaledu/env")
        first.run("echo WEB_CONCURRENCY=2 >> /etc/maaledu/env")
        replace_addresses(first, lines)
        for machine in others:
            copy(first, machine, "/etc/maaledu/env")

    def _start_web(self, machine: Machine) -> None:
        packages, start = blocks("web")
        site, reload = blocks("proxy")
        for block in (packages, site, reload, start):
            machine.run(block)

    def _examine(self) -> None:
        [examine] = blocks("examine")
        self.scheduler.run(f"{examine.strip()} || [ $? -lt 2 ]")

    def _serve(self, version: str) -> None:
        for machine in self.shop:
            assert version in machine.run("readlink /opt/maaledu/current")


def run(machine: Machine, name: str) -> None:
    [block] = blocks(name)
    machine.run(block)


def replace_addresses(machine: Machine, lines: str) -> None:
    machine.run(f"""
sed -i '/^DATABASE_URL=/d; /^REDIS_URL=/d' /etc/maaledu/env
cat >> /etc/maaledu/env << END
{lines.strip()}
END
""")


def copy(source: Machine, target: Machine, path: str) -> None:
    """Carry a file over with its owner and mode, as scp and chown by hand would."""
    there, here = target.root / path.lstrip("/"), source.root / path.lstrip("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(here, there)
    owner = source.run(f"stat -c %U:%G {path}").strip()
    target.run(f"chown {owner} {path}")

"""`script/try-guide`: the guide's blocks run as they stand, on a bare Debian 12 with systemd.

What docs/deployment.md marks with `run:` is taken out of the file and run in one shell, in
the file's order; `By hand` there is what stands in BY_HAND of script/guide.py. The sandbox plays
Stripe, the LMS and the mail server.

One machine: installed at the commit before, a purchase over TLS, upgraded under load, rolled back,
upgraded again, backed up, wiped, restored, with a purchase after each. `--several` does the same
with the part of several machines: script/several_machines.py.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from script.bare_machine import Failed, Machine, booted
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
from script.several_machines import try_several


def one_machine(machine: Machine, before: str, after: str) -> None:
    """Go through parts 3a, 3b, 4, 6, 7 and 8 of the guide."""
    installed(machine, before)
    buy(machine)
    step(f"6, from {before[:8]} to {after[:8]} under load")
    upgrade_under_load(machine, after)
    buy(machine)
    step("7, back")
    [back] = blocks("back")
    machine.run(back)
    assert before in machine.run("readlink /opt/maaledu/current")
    buy(machine)
    upgrade_under_load(machine, after)
    backed_up_wiped_restored(machine)


def installed(machine: Machine, before: str) -> None:
    step("3a, each machine")
    variables, install = blocks("machine")
    machine.run(variables)
    machine.run(f"HOST={HOST}; SOURCE=/mnt/source; VERSION={before}")
    machine.run(install)
    settings, start = blocks("one-machine")
    step("3b and 4, one machine")
    machine.run(settings)
    machine.run(BY_HAND)
    site, reload = blocks("proxy")
    machine.run(site)
    machine.run(AUTHORITY)
    machine.run(TRUST)
    machine.run(f"echo 127.0.0.1 {NAMES} >> /etc/hosts")
    machine.run(reload)
    machine.run("apt-get install -y --no-install-recommends curl")
    machine.run(OUTSIDE)
    machine.run(start)
    machine.run(
        "DJANGO_SUPERUSER_PASSWORD=trial-of-the-guide-1"
        " maaledu createsuperuser --noinput --email boss@example.com"
    )
    machine.run(COURSE)


def upgrade_under_load(machine: Machine, after: str) -> None:
    [upgrade], [release] = blocks("upgrade"), blocks("release")
    machine.run(LOAD)
    machine.run(upgrade.replace("VERSION=origin/main", f"VERSION={after}"))
    machine.run(release)
    print(machine.run(END_LOAD).strip())
    assert after in machine.run("readlink /opt/maaledu/current")


def backed_up_wiped_restored(machine: Machine) -> None:
    [backup] = blocks("backup")
    stop, restore, start = blocks("restore")
    step("8, backed up")
    machine.run(backup)
    buy(machine)
    sold = machine.run(COUNT).strip()
    step("8, wiped and restored")
    machine.run(stop)
    machine.run("rm -rf /var/lib/maaledu/db.sqlite3*")
    machine.run(restore)
    machine.run(start)
    found = machine.run(COUNT).strip()
    assert found == sold, f"{sold} were sold, {found} are here"
    print(f"{sold} sold, one of them after the backup; {found} after the restore")
    buy(machine)


def commit(name: str) -> str:
    return subprocess.run(
        ["git", "rev-parse", name], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/try-guide", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp/maaledu-guide"))
    parser.add_argument("--before", default="HEAD~1", help="the commit that is upgraded from")
    parser.add_argument("--several", action="store_true", help="the part of several machines")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    try:
        if options.several:
            try_several(options.directory, commit(options.before), commit("HEAD"))
            return 0
        with booted(options.directory, "one", ROOT) as machine:
            one_machine(machine, commit(options.before), commit("HEAD"))
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

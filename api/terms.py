"""What each address of the API asks of who calls it, declared once: it is enforced and documented
by the same words.
"""

from dataclasses import dataclass

from maaledu.errors import AppError

ANYBODY, SIGNED_IN, STAFF = "anybody", "signed in", "staff"


@dataclass(frozen=True)
class Terms:
    """Who may call an address, how often, and with which refusals of its own.

    `scope` is what an API key needs; without one any key will do. A STAFF address asks for
    `permission` besides. `makes` says that an Idempotency-Key is taken.
    """

    who: str = ANYBODY
    limit: str = "api"
    scope: str = ""
    permission: str = ""
    makes: bool = False
    refusals: tuple[type[AppError], ...] = ()

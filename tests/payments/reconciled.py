"""What a reconciliation came to, in numbers."""

from payments.models import Reconciliation

Counts = tuple[int, int, int, int]


def counts(found: list[Reconciliation]) -> dict[str, Counts]:
    """Return looked at, agreed, mended and unmended of each kind of which there was anything."""
    return {
        each.kind: (each.looked_at, each.agreed, each.mended, each.unmended)
        for each in found
        if each.looked_at
    }


def mended(found: list[Reconciliation]) -> dict[str, int]:
    return {each.kind: each.mended for each in found if each.mended}

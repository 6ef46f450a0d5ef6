"""The copies of old documents, which staff may read until they are forgotten."""

from legacy.models import ImportedRow

BATCH = 200


def forget() -> int:
    """Delete the copies of all old documents, and return how many there were.

    What each row became stays known.
    """
    gone = 0
    left = ImportedRow.objects.exclude(document="")
    while keys := list(left.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        gone += ImportedRow.objects.filter(pk__in=keys).update(document="")
    return gone

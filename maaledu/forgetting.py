"""Delete rows past their retention, a few hundred in each transaction, the oldest first."""

from typing import Any

from django.db.models import QuerySet

BATCH = 200
# The domain of what stands in place of a deleted address. Reserved by RFC 2606: no mail to it is
# ever delivered to anybody.
NOBODYS_DOMAIN = "deleted.invalid"


def forget(rows: QuerySet[Any], *, by: str) -> int:
    """Delete these rows and what hangs on them, and return how many there were of themselves.

    `by` is the column with an index that says how old a row is. Each batch is a transaction of its
    own, so that a stop at any moment loses at most one, and nobody waits long for a lock; the next
    call goes on with what is left.
    """
    gone, left = 0, rows
    while batch := list(left.order_by(by).values_list("pk", by)[:BATCH]):
        # Still past it, and not, such as a job that staff replay, made current meanwhile.
        gone += _delete(rows.filter(pk__in=[key for key, _ in batch]))
        # From here on: what was deleted stays in the index for a while, to be passed over again.
        left = rows.filter(**{f"{by}__gte": batch[-1][1]})
        if len(batch) < BATCH:
            break
    return gone


def _delete(rows: QuerySet[Any]) -> int:
    _, by_model = rows.delete()
    return by_model.get(rows.model._meta.label, 0)

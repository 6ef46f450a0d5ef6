from grants.models.grant import Grant, GrantEvent, GrantQuerySet, Program, new_token
from grants.models.message import MessageTemplate
from grants.models.refusal import Refusal, RefusalCount

__all__ = [
    "Grant",
    "GrantEvent",
    "GrantQuerySet",
    "MessageTemplate",
    "Program",
    "Refusal",
    "RefusalCount",
    "new_token",
]

from django.contrib import admin

from notifications.models import Email
from office.base import QueueAdmin


@admin.register(Email)
class EmailAdmin(QueueAdmin):
    list_display = ("kind", "to", "state", "attempts", "next_attempt_at", "sent_at", "last_error")
    list_filter = ("status", "kind")
    search_fields = ("to", "dedupe_key", "message_id")
    exclude = ("context", "claim_token")

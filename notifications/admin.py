from django.contrib import admin

from maaledu.admin import QueueAdmin
from notifications.models import Email


@admin.register(Email)
class EmailAdmin(QueueAdmin):
    list_display = ("kind", "to", "state", "attempts", "next_attempt_at", "sent_at", "last_error")
    list_filter = ("status", "kind")
    search_fields = ("to", "dedupe_key", "message_id")
    exclude = ("context", "claim_token")

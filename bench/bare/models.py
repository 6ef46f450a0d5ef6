from django.db import models


class Message(models.Model):
    """What the bare view writes: one row, with the body it was sent."""

    event_id = models.CharField(max_length=100, unique=True)
    body = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.event_id

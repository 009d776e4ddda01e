"""What happens in a session, posted to an application's URL: signed, retried, and logged."""

from .delivery import DeliveryRecord, WebhookStatistics
from .reporter import EVENTS
from .signing import WebhookSignatureError, new_webhook_secret, verify_webhook
from .surface import WebhookSurface

__all__ = [
    "WebhookSurface", "EVENTS", "WebhookStatistics", "DeliveryRecord",
    # For receivers
    "verify_webhook", "WebhookSignatureError", "new_webhook_secret",
]  # fmt: skip

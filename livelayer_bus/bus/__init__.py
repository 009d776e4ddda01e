"""The event bus: one ring of the latest events, and a cursor for each reader."""

from .bus import Bus, BusStatistics
from .reader import Record, Subscription, SubscriptionStatistics

__all__ = ["Bus", "BusStatistics", "Record", "Subscription", "SubscriptionStatistics"]

"""The event bus against its peers."""

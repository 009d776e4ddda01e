"""The embedded server against a real LiveKit server."""

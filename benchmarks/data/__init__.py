"""Data messages against the bare SDK's."""

"""The audio path against the SDK's."""

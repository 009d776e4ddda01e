"""The pytest plugin of livelayer-bus."""

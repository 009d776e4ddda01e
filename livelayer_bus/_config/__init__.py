"""The inside of `livelayer_bus.config`: tables, secrets, and errors that name the key."""

"""The inside of the event bus; its public face is `livelayer_bus.bus`."""

"""The inside of the control socket; its public face is `livelayer_bus.control`."""

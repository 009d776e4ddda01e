"""The peers of the bus, one file each; see `livelayer_bus.bench.bus_rivals` for the names."""

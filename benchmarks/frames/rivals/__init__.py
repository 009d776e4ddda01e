"""The peers of the frame path, one file each; `livelayer_bus.bench.frames_rivals` has the names."""

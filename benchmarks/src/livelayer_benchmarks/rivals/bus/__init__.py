"""Ways to fan events out, one file each, with the same names.

A rival is a module with:

- `NAME`, and `PART`: "task" (the reader is a task that waits) or "callback" (it is called inside
  the publisher).
- `fan_out(readers, burst, done)`: an async context manager that yields a function which publishes
  an event; each reader calls `done()` after every `burst` events.
- `KINDS`, what it is measured in: "fan_out", and "wake", if it can wake a waiting reader.
- `REQUIRES`, the distributions it needs beyond this package's own; `SHARE`, the part of the usual
  work it gets if it is too slow for all of it; `BURST`, the largest burst it takes, if limited.
"""

"""Ways to fan events out that an installation always has, one file each, with the same names.

A rival is a module with:

- `NAME`, and `DELIVERS_TO`: "task" (the reader is a task that waits) or "callback" (it is called
  inside the publisher).
- `FanOut(readers, burst, done)`: `open()`, `publish(event)`, `close()`; each reader calls `done()`
  after every `burst` events.
- `Wake(latencies)`, where waking a waiting reader means something: the reader appends the
  nanoseconds since the published `time.perf_counter_ns()`.
- `REQUIRES`, the distributions it needs beyond this package's own, and `SHARE`, the part of the
  usual work it gets if it is too slow for all of it; `BURST`, if it cannot take any.
"""

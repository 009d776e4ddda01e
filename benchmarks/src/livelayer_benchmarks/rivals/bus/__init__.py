"""Ways to fan events out that are always installed, one file each, with the same names.

A rival is a module with:

- `NAME`, and `DELIVERS_TO`: "task" (the reader is a task that waits) or "callback" (it is called
  inside the publisher).
- `FanOut(readers, burst, done)`: `open()`, `publish(event)`, `close()`; each reader calls `done()`
  after every `burst` events.
- `Wake(woken)`, if it can wake a waiting reader: the reader calls `woken()` after each event.
- `REQUIRES`, the distributions it needs beyond this package's own; `SHARE`, the part of the usual
  work it gets if it is too slow for all of it; `BURST`, the largest burst it takes, if limited.
"""

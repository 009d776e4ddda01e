"""The ways to read one video N times, one file each: `connected(job)`.

An async context manager for one connection. It yields `attach(count, on_frame)`, another one, in
which `count` readers call `on_frame` (see `OnFrame`) for each frame they get. `PART` is "server"
for readers of what the publisher sends to `job.room`, or "local" for a track in this process.
"""

"""The ways to read one video N times, one file each: `readers(job, on_frame)`.

An async context manager in which `job.readers` readers call `on_frame` (see `OnFrame`) for each
frame they get. `PART` is "server" for readers of what the publisher sends to `job.room`, or "local"
for a track in this process.

A rival whose number of readers can change while its connection stays also has `connected(job)`, an
async context manager that yields `attach(count, on_frame)`, another one, in which `count` readers
call `on_frame`.
"""

"""The ways to show one picture N times, one file each.

A rival's module has `NAME`; `PATH`, "server" for readers of what the publisher sends to
`job.place` or "local" for a track in this process; `REQUIRES`, the distributions it needs; and
`readers(job, see)`, an async context manager in which `job.readers` readers call `see` (described
in `frames_recorder`) for each picture they get.

One whose number of readers can change while its connection stays also has `sharing(job)`, an async
context manager that gives `show(count, see)`: an async context manager in which `count` readers
call `see`.
"""

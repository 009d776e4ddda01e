"""The ways to feed several widgets, and to hold many sessions in one process, one file each.

A module for widgets has the names that `frames_rivals` describes; its readers also hear the voice
and the data messages. A module for many sessions has `NAME`, `REQUIRES` and `joined(place, heard)`,
an async context manager that is entered once the room is joined and calls `heard()` for each data
message.
"""

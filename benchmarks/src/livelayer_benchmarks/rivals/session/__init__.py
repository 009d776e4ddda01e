"""The ways to feed several widgets, and to hold many sessions in one process, one file each.

`PART` is "widgets" or "sessions". A module for widgets has the function of a rival of `frames`;
its readers also get audio and data messages. A module for many sessions has
`joined(room_ref, on_message)`, an async context manager that is entered once the room is joined and
calls `on_message()` for each data message.
"""

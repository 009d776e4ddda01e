"""The ways to exchange data messages with an agent, one file each.

A rival's module has `NAME`; `REQUIRES`, the distributions it needs; and
`line(place, readers, heard)`, an async context manager that yields `send(number, filling)`: it
sends one message and returns when the transport took it. Of each answer, the last of `readers`
readers calls `heard(number)`.
"""

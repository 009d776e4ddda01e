"""The ways to hear one voice N times, one file each.

A rival's module has `NAME`; `REQUIRES`, the distributions it needs; and
`readers(place, count, hear)`, an async context manager in which `count` readers call
`hear(reader, samples)` with each stretch of int16 samples; it yields a function that returns how
many frames were dropped for the reader that lost most.
"""

"""The ways to read one audio track N times, one file each: `readers(room_ref, count, on_samples)`.

An async context manager in which `count` readers call `on_samples(reader, samples)` with int16
samples as they come; it yields a function that returns how many frames the reader that lost most
has lost.
"""

"""The ways to send one picture and sound to N pages, one file each.

A rival's module has `NAME`; `REQUIRES`, the distributions it needs; and `serving()`, an async
context manager that yields a `Studio`: `show(picture)` and `say(samples)` offer the next picture
and the next stretch of sound, and `answer(offer)` answers a page's SDP.
"""

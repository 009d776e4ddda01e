"""The ways to have 720p30 with sound in a file, one file each; and a session without a recorder.

A module has `async def recorded(source, folder)`, which shows or encodes what `source` gives until
it ends, and returns the milliseconds from each picture's arrival until another reader had it.
"""

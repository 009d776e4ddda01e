"""The ways to have 720p30 with sound in a file, one file each; and a session without a recorder.

A module has `async def recorded(source, folder)`, which shows or encodes what `source` gives until
it ends, and returns a `Shown`: how many pictures it dealt with, and how late another reader was.
"""

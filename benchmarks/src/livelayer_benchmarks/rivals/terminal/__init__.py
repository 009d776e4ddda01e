"""A session whose pictures a terminal shows, and the same session without a surface.

A module has `async def shown(source, plan)`, which plays `source` and returns an `Answer`.
"""

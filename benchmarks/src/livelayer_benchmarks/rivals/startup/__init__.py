"""The ways to join a room and read video, one file each: `join(room_ref)`.

It connects, waits for the first frame of the agent, leaves, and returns an `Arrival`.
"""

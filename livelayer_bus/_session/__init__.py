"""The inside of a session, one purpose a file; its public face is `livelayer_bus.session`.

store       state and bus, changed in one step
room_events what a room reports, turned into events
connection  joining, leaving, coming back
outbox      data messages to the agent
handlers    callbacks for data messages
"""

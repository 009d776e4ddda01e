"""The ways to exchange data with an agent, one file each: `exchange(room_ref, readers, on_reply)`.

An async context manager that yields `send(number, text)`: it sends one message and returns when the
transport took it. Of each reply, the last of `readers` readers calls `on_reply(number)`.
"""

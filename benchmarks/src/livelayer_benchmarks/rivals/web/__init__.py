"""The ways to send one audio and video to N pages, one file each: `media_server()`.

An async context manager that yields a `MediaServer`: `push_video(frame)` and `push_audio(samples)`
take the next frames, and `answer(offer)` answers a page's SDP.
"""

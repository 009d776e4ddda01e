"""One session for several widgets against a room each, and many sessions in one process."""

"""A session on web pages: a panel here, a bubble there, any number of viewers, one encode."""

"""Pages of one session: what a further viewer costs the server, beside an encode for each."""

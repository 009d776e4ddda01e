"""Measurements of this machine, side by side with the alternatives: what `livelayer bench` runs."""

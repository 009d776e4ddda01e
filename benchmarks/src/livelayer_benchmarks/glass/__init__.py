"""How old a picture is on the glass of a real browser, and how soon the first one is there."""

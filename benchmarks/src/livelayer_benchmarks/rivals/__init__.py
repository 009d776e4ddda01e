"""What each area compares: a package for an area, a file for a rival.

A rival's module has `NAME`; `PART`, where the area has several; `REQUIRES`, the distributions that
it needs beyond this one's own, if any; and the functions that its package describes.
"""

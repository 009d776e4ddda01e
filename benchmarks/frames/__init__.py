"""The frame path against its peers."""

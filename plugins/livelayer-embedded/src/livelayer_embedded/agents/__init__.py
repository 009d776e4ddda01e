"""Agent workers: who is registered, which jobs rooms need, and who gets them."""

"""What surfaces that sleep, and one that blocks the loop, cost the others."""

"""Which trial comes next, and which one is stopped early."""

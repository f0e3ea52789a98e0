"""A first space file for images that a user brings."""

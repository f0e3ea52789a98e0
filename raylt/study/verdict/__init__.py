"""Whether a setting is really better than another."""

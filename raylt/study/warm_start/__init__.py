"""Searches that remember: a study begins with what earlier ones of its method learned."""

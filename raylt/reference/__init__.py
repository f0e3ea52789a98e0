"""What the documentation lists, read from the code: keys, variables, files."""

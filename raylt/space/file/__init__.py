"""The text of a space file: reading, explaining, formats."""

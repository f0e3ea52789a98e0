"""One command that trains, from its start to its end."""

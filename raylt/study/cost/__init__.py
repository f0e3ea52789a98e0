"""What a search costs: hours, memory, money."""

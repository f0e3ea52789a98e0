"""What a person reads: tables, charts, one page."""

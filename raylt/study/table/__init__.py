"""The results of studies as a table for a paper."""

"""The state of a run on disk and in a bucket."""

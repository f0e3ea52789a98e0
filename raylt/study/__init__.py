"""One search: the space, the trials, the record, the verdict."""

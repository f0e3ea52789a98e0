"""The verbs of the command line that only look or prepare; `raylt.cli` has those that run."""

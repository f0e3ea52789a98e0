"""What runs inside Ray: the processes of a trial."""

"""What a trial gets: processes, cores, GPUs, machines."""

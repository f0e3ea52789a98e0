"""Clusters: how a trial maps on machines, whether it fits, how one connects, submits and looks."""

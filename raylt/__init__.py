"""raylt: search and scale long-tailed contrastive learning."""

__version__ = "0.1.0"

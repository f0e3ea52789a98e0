"""One file, one sampler: its `Config`, and `build`, which makes a sampler of Optuna."""

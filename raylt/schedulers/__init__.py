"""One file, one scheduler: its `Config`, and `build`, which makes a scheduler of Ray Tune."""

"""Speed measured in pairs; `python -m benchmarks` writes RESULTS.md."""

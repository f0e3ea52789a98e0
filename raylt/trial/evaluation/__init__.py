"""What a trained encoder is worth: probes and accuracies."""

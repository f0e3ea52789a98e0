"""The study of record: one Optuna study, and what became of its trials."""

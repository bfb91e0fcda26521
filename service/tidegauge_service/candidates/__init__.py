"""Retraining candidates: proposed at an alert, exported for labeling."""

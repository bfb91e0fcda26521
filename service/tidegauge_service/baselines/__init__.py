"""Baselines made from training data or from live windows."""

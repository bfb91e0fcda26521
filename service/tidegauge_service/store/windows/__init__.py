"""Closed windows: their evaluation, figures, precision and skew."""

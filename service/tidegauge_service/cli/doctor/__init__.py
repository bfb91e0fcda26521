"""The command ``tidegauge doctor``."""

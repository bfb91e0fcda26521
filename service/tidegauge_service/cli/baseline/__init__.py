"""The commands ``tidegauge baseline ...``."""

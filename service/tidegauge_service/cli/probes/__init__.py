"""The commands ``tidegauge probes ...``."""

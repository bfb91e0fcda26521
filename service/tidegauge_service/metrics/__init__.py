"""The Prometheus metrics: what they are, how they are read and rendered."""

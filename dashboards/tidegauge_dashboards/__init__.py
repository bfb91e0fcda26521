"""Grafana dashboards and Prometheus rules: generated, and shipped as data."""

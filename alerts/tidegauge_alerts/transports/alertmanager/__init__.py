"""Messages as alerts of Alertmanager."""

"""Messages as events of PagerDuty."""

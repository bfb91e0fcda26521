"""Alerts with their transitions, and the outbox of messages."""

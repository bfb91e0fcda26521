"""What people read: messages about alerts, notices about tidegauge itself."""

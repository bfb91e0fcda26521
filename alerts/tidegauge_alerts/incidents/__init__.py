"""From alerts to incidents: which of them one cause has opened, and what of it is told."""

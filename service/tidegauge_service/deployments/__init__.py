"""Which ProbeSet counts: deploy, shadow, promote, roll back."""

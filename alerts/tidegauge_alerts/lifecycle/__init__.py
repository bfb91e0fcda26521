"""From findings to alerts and their transitions: pending, firing, resolved."""

"""The deployments whose windows are open, with their LFs loaded."""

"""A window against its baseline: series, season, scan, explanation."""

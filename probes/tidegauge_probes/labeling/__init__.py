"""Labeling functions, templates and preprocessors, and the ProbeSet they form."""

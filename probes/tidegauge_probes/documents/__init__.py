"""YAML and JSON files read strictly, and errors that say what to write instead."""

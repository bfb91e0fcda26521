"""Python LFs whose source is a template in disguise, run on whole columns."""

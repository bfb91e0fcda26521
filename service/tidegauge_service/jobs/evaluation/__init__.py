"""The steps that evaluate one closed window, in the order of `jobs.evaluator`."""

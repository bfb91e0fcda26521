"""What is added up per window: pane counts, LFAnalysis, gold labels."""

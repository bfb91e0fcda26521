"""What is counted per window and added up: pane counts, LFAnalysis, gold labels."""

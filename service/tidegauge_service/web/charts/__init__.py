"""Charts: specifications, renderer, themes, the pictures on pages."""

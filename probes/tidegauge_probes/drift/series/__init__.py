"""Series: what is followed, as x of n in every window, and what may be compared of it."""

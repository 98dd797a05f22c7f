"""From the measured reflections of one crystal to all of them."""

"""Work that runs by itself: bounded passes that return counts, and the loop that repeats them."""

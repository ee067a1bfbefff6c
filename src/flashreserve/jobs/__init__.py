"""Background jobs: bounded passes that return counts, the list of them, and the loop and the queue that run them."""

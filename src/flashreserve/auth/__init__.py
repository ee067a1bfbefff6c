"""Who is asking: passwords, signed tokens, and how many tries anybody has. Knows nothing of HTTP."""

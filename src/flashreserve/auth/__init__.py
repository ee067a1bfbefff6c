"""Authentication: passwords, signed tokens, and limits on tries. Knows nothing of HTTP."""

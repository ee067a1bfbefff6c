"""Where products, reservations and accounts are kept."""

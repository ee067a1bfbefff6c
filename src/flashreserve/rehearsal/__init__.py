"""A rehearsal of the sale: a crowd of customers over real HTTP, a live view and a verdict."""

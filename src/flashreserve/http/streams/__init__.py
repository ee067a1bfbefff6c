"""Server-sent events: streams that browsers keep open, and what is sent in them."""

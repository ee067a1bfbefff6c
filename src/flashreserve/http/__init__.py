"""FlashReserve over HTTP: the edge, the express lane, and the routes."""

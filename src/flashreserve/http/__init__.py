"""FlashReserve over HTTP: the server, the edge, the express lane and the routes."""

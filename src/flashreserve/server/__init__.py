"""The HTTP server: reads requests and writes answers. Speaks ASGI; knows nothing of the shop."""

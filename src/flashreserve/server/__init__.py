"""The HTTP server: from bytes to requests, and back. Knows ASGI, and nothing of the shop that it serves."""

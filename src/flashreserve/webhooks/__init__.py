"""Webhook deliveries without storage: whom to call, how to sign, send and try again. Knows no store, route or job."""

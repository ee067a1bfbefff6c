"""Stores of products, reservations and accounts."""

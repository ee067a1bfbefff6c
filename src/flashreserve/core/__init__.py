"""The rules of stock, without await, clock, entropy, log or I/O."""

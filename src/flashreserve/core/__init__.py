"""The rules of stock: pure functions of facts, commands and time, without await, clock, entropy, log or I/O."""

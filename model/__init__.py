"""The protocol of the MongoDB store, as a model whose states are all explored. README.md says how to read it."""

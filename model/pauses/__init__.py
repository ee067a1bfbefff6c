"""The model of pauses: P1, P2, new products, and the reserves that a pause must stop. See ADR 24."""

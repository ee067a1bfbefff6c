"""The model of the trails and the log of events: E1 to E3, and readers. See ADR 23."""

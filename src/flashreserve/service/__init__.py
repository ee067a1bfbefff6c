"""What FlashReserve does for its callers, whichever way they come: HTTP, commands or jobs."""

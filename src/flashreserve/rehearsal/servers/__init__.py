"""Database and queue servers of one's own, for rehearsals and tests: free ports, own data, gone afterwards."""

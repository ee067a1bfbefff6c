"""Database and queue servers for rehearsals and tests, on free ports, with data that is removed afterwards."""

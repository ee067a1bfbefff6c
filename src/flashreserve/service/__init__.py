"""The services: all that HTTP, the command line and jobs can ask for."""

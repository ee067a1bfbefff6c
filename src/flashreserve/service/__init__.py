"""The services: the operations that HTTP, the command line and jobs can ask for."""

"""The routes, with one file for each subject."""

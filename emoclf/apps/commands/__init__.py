"""The commands of `python -m emoclf`, a module for each; each is a call of public functions.

Nothing but click is imported before a command runs, so that the command line starts at once.
"""

"""The commands of `python -m emoclf`: `app.py` names them, each is a call of public functions.

A command is a function: its signature and docstring are its options and their help. Only the one
that is called is imported, and nothing heavy before it runs.
"""

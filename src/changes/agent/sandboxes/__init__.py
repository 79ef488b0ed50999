"""Where the commands of a step run: one file for each kind, all behind `role.py`."""

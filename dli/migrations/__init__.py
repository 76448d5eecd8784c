"""The schema of the metadata database, step by step. ``migrate`` is called at every start."""

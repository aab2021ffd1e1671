"""Keys of subjects in a table, each wrapped by a key of a file that the processes have."""

"""What people use: the Python client, the command line, trace readers, tables and progress."""

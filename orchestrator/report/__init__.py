"""What a job leaves: the report, and the files beside it."""

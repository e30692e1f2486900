"""People and devices come and go: the API, jobs on disk, discovery, changes of the machine. Asynchronous."""

"""What people see in a terminal: thin over ``commands`` and ``results``, a file a command."""

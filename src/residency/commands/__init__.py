"""One function a command, equal to the command line."""

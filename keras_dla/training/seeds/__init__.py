"""Several seeds trained in one program."""

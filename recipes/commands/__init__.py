"""One file per `hone` command; imported only when that command is called."""

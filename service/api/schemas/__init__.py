"""The bodies of our own routes, for the documentation; requests are checked and answers written by hand."""

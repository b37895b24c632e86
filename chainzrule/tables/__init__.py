"""Tables in files, read and written a chunk at a time, so that memory does not grow with them."""

"""One HTML page that shows which layers of networks read which."""

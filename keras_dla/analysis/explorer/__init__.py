"""One HTML page on which a person looks at what the layers of networks read."""

"""HTTP and sockets: parses, calls down, answers. Nothing is decided here but who may ask."""

"""Real database servers for tests, benches and rigs: found on this machine, started on folders and sockets of their own,
ended by their own process ids. Nothing here is part of the product.
"""

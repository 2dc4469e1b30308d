"""What the server answers to whom, described for people and programs: made from the one route table and the wire's structs.

Nothing here is loaded before somebody asks for the document or its page.
"""

from web.openapi.made import make

__all__ = ["make"]

"""Real servers under load, killed, stopped and cut off; a history of all that was said; and a checker of that history."""

"""The composition root: settings, start and stop, alarms, the sweep, and the server's commands."""

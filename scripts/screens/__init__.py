"""Pictures of the dashboard: a control plane of its own, a fleet with some life in it, and a browser."""

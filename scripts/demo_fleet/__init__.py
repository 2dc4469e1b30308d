"""The demonstration behind `./scripts/demo`: a control plane, three hosts, and servers that really come and go."""

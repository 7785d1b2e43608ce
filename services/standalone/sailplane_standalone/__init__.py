"""All services in one process, for one machine: `sailplane up`."""

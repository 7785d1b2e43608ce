"""The outside of the ports, and what every service shares: gRPC boot, error mapping, settings, telemetry."""

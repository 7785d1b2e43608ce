"""The RPCs of the contract: parse, call the use case, reply. Errors and measurements are the interceptors'."""

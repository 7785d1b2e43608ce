"""How messages about ended executions get out: by mail, and through the channels that the operator has configured."""

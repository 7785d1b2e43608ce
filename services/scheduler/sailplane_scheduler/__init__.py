"""The clock: runs launch plans by their schedules.

intake, schedules   what admin says of schedules, kept and told; `rebuild` asks for what is missing
leases              which of several schedulers decides
decisions           what becomes of slots that are due (`sailplane_core.firing` says what), written down
launches            the executions of slots, started
fires               what became of slots, told and explained
backfills           stretches of time that are run later; `backfilling` does it
by_hand             what people do with a schedule: trigger, pause, resume
handlers, service   the RPCs, and everything wired together
admin_client        admin over gRPC
"""

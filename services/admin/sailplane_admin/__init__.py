"""The system of record and the front door: what is registered, what was started, and what became of it.

A request goes through three rooms: `handlers` parse, call and reply; a use case (`tasks`, `executions`, …) decides
with pure functions of `sailplane_core` and says what to read and write; `tables` are the rows. Everything from outside
comes in one value, `ports.AdminPorts`.

projects, domains           where things may be registered and run
tasks, workflows,           immutable versions, compared by structure when they are registered again
launch_plans
named_entities,             what is said about all versions of a name, and about one version
description_entities
listing, paging             filters, sort keys and pages, the same for every list
cache                       parsed versions, which never change
"""

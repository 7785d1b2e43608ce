"""The system of record and the front door: what is registered, what was started, and what became of it.

A request goes through three rooms: `handlers` parse, call and reply; a use case (`tasks`, `executions`, …) decides
with pure functions of `sailplane_core` and says what to read and write; `tables` are the rows. Everything from outside
comes in one value, `ports.AdminPorts`; `service` wires it together.

projects, domains           where things may be registered and run
attributes                  what is said of all executions of a project, a domain or a workflow
tasks, workflows,           immutable versions, compared by structure when they are registered again
launch_plans                (`registration` has what the three share)
single_tasks                the workflow and launch plan around a task that runs on its own
schedules                   what the scheduler is told of launch plans
named_entities,             what is said about all versions of a name, and about one version
description_entities
audit                       who has done what
quotas                      how much there may be of it
retention, deletions        how long it is kept; what is to go, and how it goes
executions, node_executions,  what was started, and how far it has come
task_executions
execution_orders            what propeller is told of executions
lineage                     executions that nodes start: parents are told of ends, orphans are ended
signals                     values that gates wait for
events                      what propeller tells of them (`event_rows`, `external_resources`, `event_data`: rows and
                            blobs behind it)
catalog, catalog_lists,     what tasks have made, so that it need not be made again; who makes it now
catalog_reservations
output_cache                the same under mere keys
execution_spans             where the time of an execution went
changes, change_pages,      who is woken when one of them has changed, and what they are told
watching
logs, propeller_client      what attempts have written
execution_data, data_proxy  inputs and outputs, signed URLs, and data by `flyte://` URL
listing, keyset, paging     filters, sort keys and pages, the same for every list
cache                       what never changes: parsed versions, row numbers, keys
"""

"""The execution engine around the pure machine: it saves what the machine decides, and then acts.

worker.py       one mailbox per execution: queue deliveries and observations in, transitions out
live.py         an execution in service
advance.py      evaluate, save, apply: the order that everything's safety rests on
perform.py      carries commands out, by the hands (tools.py: what they have at hand)
                task_nodes.py, cached_tasks.py, launch_plan_nodes.py, gate_nodes.py, graph_nodes.py
places.py       how many at one time, the most urgent first
timers.py       the commands that wait for their time
retry.py        pauses before another try, and how many tries
inputs.py       resolves a node's bindings against what its upstream nodes wrote
dynamic.py      what a task generated -> a stored workflow
children.py     what is asked of admin about executions that nodes start
pods.py         what an attempt's Pod is made from, and whose a Pod is
watch.py        Pods -> observations
logs.py         keeps what Pods have written, before they are removed
sweeper.py      finds what nobody watches any more
definitions.py  compiled workflows, fetched from admin once
admin_client.py, catalog_client.py  admin and its catalog over gRPC
records.py      rows <-> the machine's state;  tables.py  the rows
inspection.py   the service's own gRPC service, for operators
ports.py        the outside and the settings;  service.py  wires it together
"""

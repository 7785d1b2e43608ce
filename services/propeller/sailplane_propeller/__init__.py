"""The execution engine around the pure machine: it saves what the machine decides, and then acts.

worker.py       one mailbox per execution: queue deliveries and observations in, transitions out
advance.py      evaluate, save, apply: the order that everything's safety rests on
perform.py      carries commands out
inputs.py       resolves a node's bindings against what its upstream nodes wrote
watch.py        Pods -> observations
sweeper.py      finds what nobody watches any more
definitions.py  compiled workflows, fetched from admin once
records.py      rows <-> the machine's state;  tables.py  the rows
inspection.py   the service's own gRPC service, for operators
service.py      wires it together
"""

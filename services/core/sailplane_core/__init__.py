"""The pure core of Sailplane: decisions, and no deeds.

Nothing here waits, reads a clock, draws a random number, logs, or talks to a network or a database. Whatever a
decision depends on is an argument, time included; whatever should happen next is a returned value. Only the
standard library and the generated messages of `sailplane_protos` are imported.
"""

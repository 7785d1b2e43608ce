"""The compiler: from what was written to what can be executed, with every mistake named.

                       required_entities          compile_workflow
    WorkflowTemplate ─────────────────► tasks, ─────────────────────► CompiledWorkflowClosure
                                        launch plans                  or CompileFailed, with all problems
                                        (loaded by the caller)

    bounds          nodes, nesting: what is too large is refused before anything is copied, and what nobody could
      │             parse afterwards
      └► nested     sub-workflows: listed once, not recursive
          └► workflow, for the workflow and each sub-workflow:
               naming      ids: unique, none reserved; `n2-n0` for node n0 in a case of branch n2
               edges       who waits for whom, from upstream ids and bindings; cycles
               interfaces  in that order: what each node takes and gives
               bindings    every input bound once, to something whose type fits
               conditions  what branches compare

Pure functions all: the same template gives the same closure, byte for byte if serialised deterministically. The
rules are Flyte's (`flytepropeller/pkg/compiler` of 1.16); where they differ the function that does so says why.
"""

from .bounds import NODES_MAX
from .closure import compile_workflow
from .requirements import Requirements, required_entities
from .tasks import compile_task

__all__ = ["NODES_MAX", "Requirements", "compile_task", "compile_workflow", "required_entities"]

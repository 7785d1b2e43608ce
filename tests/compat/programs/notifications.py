"""Launch plans that tell of their executions' ends, in stock flytekit."""

from flytekit import Email, LaunchPlan, PagerDuty, Slack, WorkflowExecutionPhase, task, workflow


@task
def divide(x: int) -> float:
    """Fails for 0."""
    return 1 / x


@workflow
def divided(x: int) -> float:
    """Fails for 0."""
    return divide(x=x)


telling = LaunchPlan.get_or_create(
    divided,
    name="notifications.telling",
    notifications=[
        Email(phases=[WorkflowExecutionPhase.SUCCEEDED], recipients_email=["glad@example.org", "both@example.org"]),
        Email(phases=[WorkflowExecutionPhase.FAILED], recipients_email=["both@example.org"]),
        PagerDuty(phases=[WorkflowExecutionPhase.FAILED], recipients_email=["page@example.org"]),
        Slack(phases=[WorkflowExecutionPhase.FAILED], recipients_email=["channel@example.org"]),
    ],
)

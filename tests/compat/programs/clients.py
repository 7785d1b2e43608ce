"""Small things for clients to register, run, schedule and read."""

from datetime import datetime

from flytekit import CronSchedule, LaunchPlan, task, workflow


@task
def shout(text: str) -> str:
    """Louder."""
    return text.upper()


@workflow
def echo(text: str = "hello") -> str:
    """What was said, louder."""
    return shout(text=text)


@task
def day_of(kickoff: datetime) -> int:
    """The day of the month."""
    return kickoff.day


@workflow
def daily(kickoff: datetime) -> int:
    """What is done every day."""
    return day_of(kickoff=kickoff)


daily_plan = LaunchPlan.get_or_create(
    daily, name="clients.daily_plan", schedule=CronSchedule(schedule="0 0 * * *", kickoff_time_input_arg="kickoff")
)

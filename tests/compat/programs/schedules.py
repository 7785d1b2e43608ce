"""Launch plans with schedules in stock flytekit."""

from datetime import datetime, timedelta

from flytekit import CronSchedule, FixedRate, LaunchPlan, task, workflow


@task
def tell(when: datetime) -> str:
    """The slot as it was told."""
    return when.isoformat()


@workflow
def told(when: datetime) -> str:
    """Wants to know its slot."""
    return tell(when=when)


@task
def double(x: int) -> int:
    """Doubles."""
    return 2 * x


@workflow
def doubled(x: int) -> int:
    """Has a default in its launch plan."""
    return double(x=x)


every_minute = LaunchPlan.get_or_create(
    told, name="schedules.every_minute", schedule=CronSchedule(schedule="* * * * *", kickoff_time_input_arg="when")
)

at_a_rate = LaunchPlan.get_or_create(
    doubled, name="schedules.at_a_rate", fixed_inputs={"x": 21}, schedule=FixedRate(duration=timedelta(minutes=1))
)

daily = LaunchPlan.get_or_create(
    told, name="schedules.daily", schedule=CronSchedule(schedule="0 3 * * *", kickoff_time_input_arg="when")
)

"""Where the time limit of a step was set, and can be changed. Pure."""

# By whom planned.py notes that it was set.
SET_BY = {
    "file": "the plan {plan} sets it, by `timeout` in .changes.yml",
    "data": "the plan {plan} sets it, by `timeout` of its step",
    "step": "the plan {plan} sets it, by the option build.timeout of its step",
    "plan": "the plan {plan} sets it, by its option build.timeout",
    "server": "the plan {plan} sets none, so it is the server's DEFAULT_JOB_TIMEOUT_MIN",
}
BY_ANOTHER_VERSION = "`timeout` of the plan {plan} changes it"


def where_set(set_by: str, plan: str) -> str:
    return SET_BY.get(set_by, BY_ANOTHER_VERSION).format(plan=plan)

# What every rule reserves of a machine. Holds no rule: the table is engine/resources.py. A value of the
# command line or a profile, as in --set-resources train_arm:mem_mb=64000, replaces that of the table.
from engine.cluster import refusal, wanted_of
from engine.resources import resources_of
from engine.sizes import sizes_of

SIZES = sizes_of(STUDY)

for each in workflow.rules:
    each.resources.update(resources_of(SIZES, each.name))
    each.resources.update(workflow.resource_settings.overwrite_resources.get(each.name, {}))


def refuse_missing_resources():
    """Stop before the first job if the scheduler has not what the jobs ask for."""
    jobs = (wanted_of(job) for job in workflow.dag.needrun_jobs() if not job.is_local)
    if message := refusal(workflow.executor_plugin.name, jobs):
        raise WorkflowError(message)

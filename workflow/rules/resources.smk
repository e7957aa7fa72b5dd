# What every rule reserves of a machine. Holds no rule: the table is engine/resources.py. A value of the
# command line or a profile, as in --set-resources train_arm:mem_mb=64000, replaces that of the table.
from engine.cluster import require_resources
from engine.resources import resources_of
from engine.sizes import sizes_of

SIZES = sizes_of(STUDY)

for each in workflow.rules:
    each.resources.update(resources_of(SIZES, each.name))
    each.resources.update(workflow.resource_settings.overwrite_resources.get(each.name, {}))

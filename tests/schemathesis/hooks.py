"""What schemathesis cannot know of this API.

The checks are all on. A failure of one of them is dropped here only when its answer is one that the API has to give
and that no schema can announce: `REFUSALS` names each by its operation, its code and its field.
"""

import os
import re
import zlib

import schemathesis

# The lab's one group, which is also what its dangerous verbs are confirmed with.
GROUP = os.environ["BCDR_GROUP"]
# Tokens that the test itself needs until its end.
KEPT_TOKENS = os.environ["BCDR_KEPT_TOKENS"].split(",")
NO_TOKEN = "tok-00000000000000000000000000"

# A schema has no word for a text that equals another one that the server knows.
CONFIRMED = [("not_confirmed", "confirm")]
# The same key came with another request before: keys are short and come again.
KEYED = [("idempotency_mismatch", None)]
# Patterns must be regular expressions, volumes must be the group's, probes must differ from each other, an
# HTTP status range must not end before it begins, an address must have a prefix.
LAUNCHED = [
    ("invalid_request", r"launch_settings"),
    ("invalid_request", r"launch_settings\.probes\.guest_address"),
    ("invalid_request", r"launch_settings\.probes\.http\.\d+\.expected"),
]

CONDITIONS = {"If-Match", "If-None-Match"}

REFUSALS = {
    # Labels that look like a point's id or an instant would hide points; bytes are counted.
    "create_point": KEYED + [("invalid_request", r"label")],
    "check_point_readiness": KEYED,
    "start_drill": KEYED + LAUNCHED,
    # Hardware addresses and forwarded ports must differ from each other.
    "start_failover": CONFIRMED + KEYED + LAUNCHED + [("invalid_request", r"networks")],
    "commit_failover": CONFIRMED,
    "rollback_failover": CONFIRMED,
    "start_failback": KEYED,
    "commit_failback": CONFIRMED,
    "cut_over_failback": CONFIRMED,
    "rollback_failback": CONFIRMED,
    "start_restore": CONFIRMED + KEYED,
    "undo_restore": CONFIRMED + KEYED,
    "remove_branch": CONFIRMED,
    "keep_source": CONFIRMED,
    "keep_target": CONFIRMED,
    # A run takes a time that has been, or latest, and a drill needs no confirmation.
    "start_plan_run": CONFIRMED + KEYED + [("invalid_request", r"at")],
    "check_plan": [("invalid_request", r"at")],
    # Plans have a format of their own (docs/format), with all its faults told at once.
    "apply_plan": [("plan_faults", None), ("invalid_request", r"(?s:.*)")],
    # Volumes of a group have different names.
    "create_group": [("invalid_request", r"volumes")],
    # A time of the day goes with whole days, and zones are those of the system.
    "set_drill_schedule": LAUNCHED + [("invalid_request", r"at|zone")],
    # The end comes after the beginning, and what is asked for is bounded as a whole.
    "list_samples": [("invalid_request", r"from|to")],
    "list_points": [("invalid_request", r"to")],
    "list_branch_points": [("invalid_request", r"to")],
    # They end in the time to come.
    "mute_alert": [("invalid_request", r"until")],
    # And their groups are there.
    "create_token": [("invalid_request", r"expires_at|groups\.\d+")],
    # Groups of a document have different names, its users are there, and its plans are as above; all its faults are
    # told at once.
    "apply_configuration": [("configuration_faults", None), ("invalid_request", r"(?s:.*)")],
    # A branch has no labels, and is one of its group's.
    "open_view": [("invalid_request", r"at|branch")],
}

# What is said of a body that could not be read as its schema has it. It is never to be expected, but where a
# notation of its own is within.
UNREAD = "the body does not have the expected content"
NOTATIONS = LAUNCHED[1:]
WITH_PLANS = {"apply_plan", "apply_configuration"}


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure counts."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    definition = case.operation.definition.raw
    named = {parameter.get("name") for parameter in definition.get("parameters", [])}
    if response.status_code == 412:
        # The condition did not hold: it names a version.
        return not CONDITIONS & named
    problem = response.json()
    operation = definition["operationId"]
    return not any(
        problem["code"] == code
        and (form is None or re.fullmatch(form, problem.get("field") or ""))
        and (problem["detail"] != UNREAD or operation in WITH_PLANS or (code, form) in NOTATIONS)
        for code, form in REFUSALS.get(operation, [])
    )


@schemathesis.hook
def before_call(context, case, kwargs):
    """Sends some requests on their way: random names are nobody's, so nothing would ever begin."""
    operation = case.operation.definition.raw["operationId"]
    if operation == "revoke_token" and case.path_parameters.get("id") in KEPT_TOKENS:
        case.path_parameters["id"] = NO_TOKEN
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    for name in CONDITIONS & set(case.headers or {}):
        # It knows these headers by their names, and forgets the pattern when it makes up the plainest value.
        if case.headers[name] == "0":
            case.headers[name] = '"0"'
    # As often as not, and the same with the same seed.
    drawn = zlib.crc32(repr((operation, case.body)).encode("utf-8", "surrogatepass"))
    if drawn % 2:
        return
    if isinstance(case.body, dict):
        for field in ("group", "confirm"):
            if isinstance(case.body.get(field), str):
                case.body[field] = GROUP
        if isinstance(case.body.get("at"), str) and "group" in case.body:
            case.body["at"] = "latest"
    if case.path_parameters and "group" in case.path_parameters:
        case.path_parameters["group"] = GROUP

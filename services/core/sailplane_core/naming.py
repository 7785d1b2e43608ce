"""The forms of names: what may be called what, and the names that the control plane makes up itself."""

import re

EXECUTION_NAME_CHARS_MAX = 63
NAME_CHARS_MAX = 255
"""Projects, domains, names and versions: what Flyte's database columns hold."""
PROJECT_ID_CHARS_MAX = 63
LABEL_PREFIX_CHARS_MAX = 253
LABEL_CHARS_MAX = 63
GENERATED_PREFIX = ".flytegen."
"""Begins the names of the workflow and launch plan made around a single task. Lists hide them."""
GENERATED_NAME_BYTES = 19
"""How much chance `generated_execution_name` wants."""

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes, so that no word appears by chance: Kubernetes' alphabet for made-up names."""
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_EXECUTION_NAME = re.compile(r"[a-z][a-z\-0-9]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def execution_name_problem(name: str) -> str:
    """Why a lower-case name cannot name an execution; "" if it can."""
    if len(name) > EXECUTION_NAME_CHARS_MAX:
        return f"size of name exceeded length {EXECUTION_NAME_CHARS_MAX} : {name}"
    if not _EXECUTION_NAME.fullmatch(name):
        return f"invalid name format: {name}, does not match regex '^[a-z][a-z\\-0-9]*$'"
    return ""


def generated_execution_name(chance: bytes) -> str:
    """`a` and 19 characters, from as many random bytes: about 90 bits, so that nobody meets a name twice."""
    return "a" + "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in chance[:GENERATED_NAME_BYTES])


def name_problem(name: str) -> str:
    """Why a text cannot be the name or version of an entity; "" if it can. Emptiness is not looked at.

    Nearly everything is a name: spaces, slashes and umlauts are in use.
    """
    if len(name) > NAME_CHARS_MAX:
        return f"cannot exceed {NAME_CHARS_MAX} characters"
    if _CONTROL.search(name):
        return "must not contain control characters"
    return ""


def dns_label_problem(text: str) -> str:
    """Why a text is no DNS-1123 label; "" if it is one."""
    if len(text) > PROJECT_ID_CHARS_MAX:
        return f"must be no more than {PROJECT_ID_CHARS_MAX} characters"
    if not _DNS_LABEL.fullmatch(text):
        return (
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character"
        )
    return ""


def label_key_problem(key: str) -> str:
    """Why a text is no key of a Kubernetes label (`[prefix/]name`); "" if it is one."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > LABEL_PREFIX_CHARS_MAX or not _DNS_SUBDOMAIN.fullmatch(prefix)):
        return "prefix part must be a DNS subdomain of at most 253 characters"
    if not name or len(name) > LABEL_CHARS_MAX or not _LABEL_NAME.fullmatch(name):
        return (
            "name part must consist of 1 to 63 alphanumeric characters, '-', '_' or '.', "
            "and must start and end with an alphanumeric character"
        )
    return ""


def label_value_problem(value: str) -> str:
    """Why a text is no value of a Kubernetes label; "" if it is one, as the empty text is."""
    if value and (len(value) > LABEL_CHARS_MAX or not _LABEL_NAME.fullmatch(value)):
        return (
            "a valid label must be empty or consist of at most 63 alphanumeric characters, '-', '_' or '.', "
            "and must start and end with an alphanumeric character"
        )
    return ""


def single_task_node_id(task_name: str) -> str:
    """The id of the one node around a task: what a node id may hold of the last 63 characters of the task's name."""
    return re.sub(r"[^a-z0-9-]", "", task_name[-63:].lower()).strip("-") or "task"

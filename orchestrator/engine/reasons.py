"""Why a plan is made, and why the head of the queue stays where it is: words of decisions.jsonl."""

from enum import StrEnum


class Because(StrEnum):
    """Why an instant is a scheduling point (docs/time.md#scheduling-points). The empty one is false."""

    NOTHING = ""  # it is none: the plan goes on
    START = "start"  # the job began
    IDLE = "idle"  # a request came to an idle replica
    FINISHED = "finished"  # a request made its last token
    CHUNK = "chunk"  # a prefill chunk ended
    ROOM = "room"  # a rank lacks room for another round
    HORIZON = "horizon"  # the plan had lasted as long as it said
    GPU_MEMORY = "gpu_memory"  # GPU memory came free, for which the head of the queue waited
    ARRIVAL = "arrival"  # a request came, and the head of the queue fits


class Blocked(StrEnum):
    """Why the head of the queue was not admitted. The empty one is false."""

    NOTHING = ""  # it was, or nothing waits
    BARRED = "barred"  # it has just been preempted
    KV = "kv"  # no placement has room for its KV
    GPU_MEMORY = "gpu_memory"  # the GPUs have no room for its prompt's KV
    CHUNK = "chunk"  # no more chunks fit into this round
    ALIGNED = "aligned"  # it would make attention the slower side
    GAP = "gap"  # it would make gaps between tokens longer than asked for
    BATCH = "batch"  # the policy admits no more now

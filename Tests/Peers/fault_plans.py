"""What one delivery with faults is to be, all of it drawn from its number and the seed of the tests: which objects, how they are
selected and cut, which faults at which byte or request.
"""
import dataclasses
import random

import fault_proxy
import fault_s3
from conftest import SEED
from fault_proxy import TO_CLIENT, TO_SERVER, Fault
from fault_s3 import S3Fault

SETS = 16
MAX_FILES, MAX_SIZE = 4, 3 << 20
CHUNK = 256 << 10
SSH_GREETING_BYTES = 4000  # of one connection, in either direction

# Run after run takes the next of these, and begins again.
SCENARIOS = (["network"] * 4 + ["source network"] * 3 + ["source"] * 3 + ["wrong source read", "cancel", "cancel",
             "wrong disk", "wrong disk", "full disk", "restart", "restart", "source restart", "everything"])


def make_sets() -> list[dict[str, bytes]]:
    """The objects that runs choose from: each set has one of some size, and a few more of any, none included."""
    rng = random.Random(SEED)
    sets = []
    for _ in range(SETS):
        sizes = [rng.randint(CHUNK, MAX_SIZE)] + [
            rng.choice([0, 1, rng.randrange(CHUNK), rng.randrange(MAX_SIZE)]) for _ in range(rng.randrange(MAX_FILES))]
        sets.append({f"file {index}.bin": rng.randbytes(size) for index, size in enumerate(sizes)})
    return sets


@dataclasses.dataclass
class Run:
    """What a run is, all of it drawn from its seed."""

    number: int
    scenario: str
    set: int
    size: int
    chunk_size: int
    has_old: bool
    by_key: bool  # each object is selected by its key, else all by their prefix
    suffix: str = ""  # of the names of files that are compressed on their way
    network: list[Fault] = dataclasses.field(default_factory=list)
    source_network: list[Fault] = dataclasses.field(default_factory=list)
    source: list[S3Fault] = dataclasses.field(default_factory=list)
    disk: list[dict] = dataclasses.field(default_factory=list)
    disk_size: int = 0
    away_seconds: float = 0

    @property
    def name(self) -> str:
        return f"run-{self.number}"

    @property
    def planned(self) -> int:
        return len(self.network) + len(self.source_network) + len(self.source) + len(self.disk) + (self.disk_size > 0)

    @property
    def passes(self) -> bool:
        """All that happens passes within the delivery's budget: it has to succeed."""
        if self.scenario == "source":
            return not any(fault.kind == "expired" for fault in self.source)
        if any(fault.kind == "half-close" and fault.direction == TO_SERVER for fault in self.source_network):
            return False  # half a request is answered with 400 by some servers, which does not look like passing
        return self.scenario in ("network", "source network", "restart", "source restart")

    @staticmethod
    def draw(number: int, sets: list[dict[str, bytes]]) -> "Run":
        rng = random.Random(f"{SEED} fault run {number}")
        scenario = SCENARIOS[number % len(SCENARIOS)]
        chosen = rng.randrange(SETS)
        sizes = [len(body) for body in sets[chosen].values()]
        size = sum(sizes)
        run = Run(number, scenario, chosen, size, rng.choice([CHUNK, CHUNK, 2 * CHUNK, 0]), rng.random() < 0.25,
                  rng.random() < 0.5)
        # What doesn't shrink stays about as long, so the bytes at which faults come are those of the plain file.
        run.suffix = random.Random(f"{SEED} compression of fault run {number}").choice(["", "", ".gz", ".zst"])
        reads = sum(-(-size // (run.chunk_size or 8 << 20)) for size in sizes)
        expected = size + SSH_GREETING_BYTES
        few = lambda kinds: rng.sample(list(kinds), rng.randint(1, 2))  # noqa: E731
        match scenario:
            case "network":
                run.network = fault_proxy.draw(rng, rng.choices(fault_proxy.KINDS, k=rng.randint(1, 3)), expected, expected)
            case "source network":
                run.source_network = fault_proxy.draw(rng, few(fault_proxy.KINDS), 1000 * reads, size)
            case "source":
                run.source = fault_s3.draw(rng, few(fault_s3.KINDS), reads)
            case "wrong source read":
                run.source = fault_s3.draw(rng, ["flip"], reads)
            case "wrong disk":
                run.disk = [{"kind": rng.choice(["read", "write", "refuse"]), "at": rng.randrange(max(sizes)),
                             "times": rng.choice([0, 1, 1, 2])} for _ in range(rng.randint(1, 2))]
            case "full disk":
                run.disk_size = int(size * rng.uniform(0.1, 0.9))
            case "restart":
                run.network = [Fault("call", TO_SERVER, rng.randrange(expected))]
                run.away_seconds = rng.uniform(0.05, 1.5)
            case "source restart":
                run.source_network = [Fault("call", TO_CLIENT, rng.randrange(size))]
                run.away_seconds = rng.uniform(0.05, 1.5)
            case "cancel":
                run.network = [Fault("call", TO_SERVER, rng.randrange(expected))]
                if rng.random() < 0.5:
                    run.network += fault_proxy.draw(rng, few(fault_proxy.KINDS), expected, expected)
            case "everything":
                run.network = fault_proxy.draw(rng, fault_proxy.KINDS, expected, expected)
                run.source_network = fault_proxy.draw(rng, ["reset", "stall"], 1000 * reads, size)
                run.source = fault_s3.draw(rng, ["500", "truncated"], reads)
                run.disk = [{"kind": rng.choice(["read", "write"]), "at": rng.randrange(max(sizes)), "times": 1}]
        return run

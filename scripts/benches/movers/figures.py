"""What a scenario of the delivery bench gives: its runs by mover, its facts, its bars; and how they are printed and kept."""
import dataclasses
import statistics

from movers.ours import Timed

MIB, GIB = 1 << 20, 1 << 30


@dataclasses.dataclass(frozen=True)
class Bar:
    """One promise: a figure of ours and its limit."""

    name: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def passed(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        return f"{'passed' if self.passed else 'MISSED'}  {self.name}: {self.value:.2f}, {word} {self.limit:g}"


@dataclasses.dataclass
class Result:
    scenario: str
    what: str
    size: int  # bytes moved in each run
    files: int
    runs: dict[str, list[Timed]] = dataclasses.field(default_factory=dict)
    facts: dict[str, float] = dataclasses.field(default_factory=dict)  # name with its unit -> figure
    bars: list[Bar] = dataclasses.field(default_factory=list)

    def add(self, mover: str, timed: Timed) -> None:
        self.runs.setdefault(mover, []).append(timed)

    def seconds(self, mover: str) -> float:
        return statistics.median(run.seconds for run in self.runs[mover])

    def cpu_per_gib(self, mover: str) -> float:
        return statistics.median(run.cpu_seconds for run in self.runs[mover]) / (self.size / GIB)

    def ratio(self, mover: str) -> float:
        """Our time as part of the other's."""
        return self.seconds("ours") / self.seconds(mover)

    @property
    def passed(self) -> bool:
        return all(bar.passed for bar in self.bars)

    def show(self, is_judged: bool) -> None:
        print(f"\n{self.scenario}: {self.what}")
        if self.runs:
            print(f"  {'mover':<36}{'median s':>9}{'least s':>9}{'most s':>9}{'MB/s':>8}{'files/s':>9}{'CPU s/GiB':>11}"
                  f"{'ours/it':>9}{'runs':>6}")
        for mover, runs in self.runs.items():
            times = [run.seconds for run in runs]
            median = self.seconds(mover)
            ratio = f"{self.ratio(mover):.2f}" if mover != "ours" and "ours" in self.runs else "-"
            print(f"  {mover:<36}{median:>9.2f}{min(times):>9.2f}{max(times):>9.2f}{self.size / median / 1e6:>8.0f}"
                  f"{self.files / median:>9.0f}{self.cpu_per_gib(mover):>11.2f}{ratio:>9}{len(runs):>6}")
        for name, figure in self.facts.items():
            print(f"  {name:<64}{figure:>10.1f}")
        if is_judged:
            for bar in self.bars:
                print(f"  {bar}")

    def kept(self) -> dict:
        return {
            "what": self.what, "bytes": self.size, "files": self.files, "passed": self.passed, "facts": self.facts,
            "bars": [dataclasses.asdict(bar) | {"passed": bar.passed} for bar in self.bars],
            "movers": {
                mover: {"median_seconds": self.seconds(mover), "cpu_seconds_per_gib": self.cpu_per_gib(mover),
                        "runs": [dataclasses.asdict(run) for run in runs]}
                for mover, runs in self.runs.items()}}

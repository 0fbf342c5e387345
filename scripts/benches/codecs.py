"""How fast FerryAPI's messages are encoded and decoded, against SwiftProtobuf on the same messages.

Standard library only; needs protoc. The bars: at least 3 times as fast, by the geometric mean over the messages, and no
allocation per scalar field. It builds SwiftProtobuf's generator and its own bench program on first use. Figures are CPU
time, with the end of what was made; 'peer' is SwiftProtobuf, 'blocks' are allocations of ours and of the peer.
"""
import json
import math
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "scripts/benches/codecs"
GENERATED = PACKAGE / ".build/generated"
PROTOS = sorted((ROOT / "proto/fileferry/v1").glob("*.proto"))
RESULT = ROOT / ".build/bench/codecs.json"
BAR = 3.0


def build(product: str) -> pathlib.Path:
    """Builds one product of the bench's package and returns the program."""
    print(f"building {product} ...", file=sys.stderr)
    # Without its plan SwiftPM makes a new one; it does not see by itself that a package outside has got new files.
    (PACKAGE / ".build/release.yaml").unlink(missing_ok=True)
    command = ["swift", "build", "--package-path", PACKAGE, "-c", "release", "--product", product]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{product} could not be built:\n{done.stdout}")
    return PACKAGE / ".build/release" / product


def generate(generator: pathlib.Path) -> None:
    """SwiftProtobuf's classes. A file is only touched when it changes, so that nothing is compiled twice."""
    fresh = PACKAGE / ".build/generated-fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    subprocess.run(
        ["protoc", f"--proto_path={ROOT / 'proto'}", f"--plugin=protoc-gen-swift={generator}", f"--swift_out={fresh}",
         "--swift_opt=Visibility=Public", "--swift_opt=FileNaming=DropPath", *PROTOS], check=True)
    made = {path.name: path.read_text() for path in fresh.iterdir()}
    for path in GENERATED.iterdir():
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        path = GENERATED / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    shutil.rmtree(fresh)


def ratio(costs: dict) -> float:
    return costs["theirs"]["nanoseconds"] / costs["ours"]["nanoseconds"]


def mean_ratio(messages: list[dict], operation: str) -> float:
    return math.exp(sum(math.log(ratio(message[operation])) for message in messages) / len(messages))


def show(messages: list[dict]) -> None:
    columns = "".join(f"{name:>10}" for name in ["ours ns", "peer ns", "times", "blocks"])
    print(f"{'':<38}{'encode':^40}  {'decode':^40}")
    print(f"{'message':<30}{'bytes':>8}{columns}  {columns}")
    for message in messages:
        cells = []
        for operation in ("encode", "decode"):
            costs = message[operation]
            ours, theirs = costs["ours"], costs["theirs"]
            blocks = f"{ours['allocations']}/{theirs['allocations']}"
            cells.append(f"{ours['nanoseconds']:>10.0f}{theirs['nanoseconds']:>10.0f}{ratio(costs):>10.2f}{blocks:>10}")
        print(f"{message['message']:<30}{message['bytes']:>8}{cells[0]}  {cells[1]}")


def main() -> int:
    if shutil.which("protoc") is None:
        print("protoc is missing. Install it (Debian: protobuf-compiler) and run this again.", file=sys.stderr)
        return 1
    GENERATED.mkdir(parents=True, exist_ok=True)
    if not any(GENERATED.iterdir()):
        # The package cannot be read while a target of it has no source; the generator is part of the package.
        (GENERATED / "Placeholder.swift").write_text("// Gives way to the generated files.\n")
    generate(build("protoc-gen-swift"))
    program = build("CodecBench")
    done = subprocess.run([program], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"{program.name} ended with {done.returncode}; its reason is above.", file=sys.stderr)
        return 1
    report = json.loads(done.stdout)

    messages, scalars = report["messages"], report["scalarFields"]
    show(messages)
    means = {operation: mean_ratio(messages, operation) for operation in ("encode", "decode")}
    below = {
        operation: [message["message"] for message in messages if ratio(message[operation]) < BAR]
        for operation in means}
    for operation, mean in means.items():
        print(f"{operation}: {mean:.2f} times as fast by the geometric mean   bar: {BAR:.0f}")
        for name in below[operation]:
            print(f"  below {BAR:.0f}: {name}")
    for message in scalars:
        one, every = message["one"], message["all"]
        print(f"{message['message']}: {one['encode']} block(s) to encode and {one['decode']} to decode 1 scalar field, "
              f"{every['encode']} and {every['decode']} for {every['fields']}")
    steady = all(message["one"][key] == message["all"][key] for message in scalars for key in ("encode", "decode"))
    if not steady:
        print("more scalar fields cost more allocations")
    passed = steady and all(mean >= BAR for mean in means.values())
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps({
        "bench": "codecs", "passed": passed, "bar_times": BAR,
        "mean_times": {key: round(mean, 3) for key, mean in means.items()}, "below_bar": below,
        "no_allocation_per_scalar_field": steady, **report}, indent=2) + "\n")
    print(f"{'PASSED' if passed else 'MISSED'}: {RESULT.relative_to(ROOT)}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

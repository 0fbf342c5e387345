"""Compiles the peers of the RPC benches into .build/bench-peers; what is up to date is left alone.

As a program, `build.py [cpp-server cpp-client grpc-swift]`, it builds those named, else all.
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

SOURCES = pathlib.Path(__file__).resolve().parent
ROOT = SOURCES.parents[2]
OUTPUT = ROOT / ".build/bench-peers"
PACKAGES = ["libgrpc++-dev", "libprotobuf-dev", "protobuf-compiler-grpc", "protobuf-compiler", "nghttp2-client", "nghttp2-server"]
# As the release of FileFerry is built, so that memory can be compared.
SWIFT_BUILD = ["swift", "build", "-c", "release", "--static-swift-stdlib"]


class BuildFailed(Exception):
    """A program could not be built; the text says which, and its compiler has said why."""


def run(command: list, **options) -> str:
    """What the command prints on standard output."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, check=True, text=True, stdout=subprocess.PIPE, **options).stdout
    except FileNotFoundError as error:
        raise BuildFailed(f"{words[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stdout)
        raise BuildFailed(f"'{' '.join(words[:6])} ...' ended with {error.returncode}") from error


def install_packages() -> None:
    """Debian packages that are missing; asks for nothing and touches nothing when all are there."""
    if shutil.which("dpkg-query") is None:
        print("- no Debian packages here: taking the compilers and libraries as they are", file=sys.stderr)
        return
    query = ["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *PACKAGES]
    known = subprocess.run(query, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    there = {line.split()[0] for line in known.splitlines() if line.endswith(" install ok installed")}
    missing = [package for package in PACKAGES if package not in there]
    if not missing:
        return
    print(f"- installing packages: {' '.join(missing)}", file=sys.stderr)
    root = [] if os.getuid() == 0 else ["sudo"]
    run([*root, "apt-get", "update", "-qq"])
    run([*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends",
         *missing])


def compile_cpp(name: str, program: pathlib.Path) -> None:
    generated = OUTPUT / "generated"
    generated.mkdir(exist_ok=True)
    plugin = shutil.which("grpc_cpp_plugin")
    run(["protoc", "-I", SOURCES, f"--cpp_out={generated}", f"--grpc_out={generated}",
         f"--plugin=protoc-gen-grpc={plugin}", "echo.proto"])
    libraries = run(["pkg-config", "--cflags", "--libs", "grpc++", "protobuf"]).split()
    run(["g++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-I", generated, SOURCES / "cpp" / f"{name}.cc",
         *sorted(generated.glob("*.cc")), "-o", program, *libraries])


def compile_swift(program: pathlib.Path) -> None:
    package, scratch = SOURCES / "grpc-swift", OUTPUT / "grpc-swift-build"
    command = [*SWIFT_BUILD, "--package-path", package, "--scratch-path", scratch]
    sys.stderr.write(run(command))
    shutil.copy2(pathlib.Path(run([*command, "--show-bin-path"]).strip()) / "EchoServer", program)


PEERS = {
    "cpp-server": ([SOURCES / "echo.proto", SOURCES / "cpp/server.cc"], lambda program: compile_cpp("server", program)),
    "cpp-client": ([SOURCES / "echo.proto", SOURCES / "cpp/client.cc"], lambda program: compile_cpp("client", program)),
    "grpc-swift": ([SOURCES / "grpc-swift/Package.swift", SOURCES / "grpc-swift/Sources/EchoServer/main.swift"],
                   compile_swift),
}


def build(names=PEERS) -> dict[str, pathlib.Path]:
    """The named peers' programs, built when their sources are not those of the last build."""
    install_packages()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    programs = {}
    for name in names:
        sources, compile_one = PEERS[name]
        programs[name] = program = OUTPUT / name
        stamp = OUTPUT / f"{name}.built"
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in [*sources, pathlib.Path(__file__)])).hexdigest()
        if program.exists() and stamp.exists() and stamp.read_text() == digest:
            continue
        print(f"- building the peer {name}", file=sys.stderr)
        compile_one(program)
        stamp.write_text(digest)
    return programs


def ours(*names: str) -> dict[str, pathlib.Path]:
    """Programs of FileFerry itself: those of FERRY_BIN_DIR, else the release build's, built when they are missing."""
    chosen = os.environ.get("FERRY_BIN_DIR")
    directory = pathlib.Path(chosen or ROOT / ".build/release").resolve()
    for name in names:
        if (directory / name).exists():
            continue
        if chosen:
            raise BuildFailed(f"FERRY_BIN_DIR ({directory}) has no {name}")
        print(f"- building {name}", file=sys.stderr)
        sys.stderr.write(run([*SWIFT_BUILD, "--package-path", ROOT, "--product", name]))
        if not (directory / name).exists():
            raise BuildFailed(f"the build left no {name} in {directory}")
    return {name: directory / name for name in names}


if __name__ == "__main__":
    try:
        for path in build(sys.argv[1:] or PEERS).values():
            print(path)
    except BuildFailed as error:
        sys.exit(f"FAILED: {error}")

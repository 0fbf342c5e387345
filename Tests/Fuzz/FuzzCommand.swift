// rpc-fuzz: throws malformed bytes at whatever reads bytes from outside. `scripts/fuzz` runs it for long.
import ArgumentParser
import Glibc

@main
struct FuzzCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rpc-fuzz",
    abstract: "Malformed bytes for the message reader, every codec of FerryAPI and the HTTP/2 connection.",
    discussion: """
      Each input must end in bounded time and memory without a crash; what is read without an error must be written \
      and read again to the same. A finding is told with seed and run, kept in a file and can be replayed. \
      Exit code 1: something was found.
      """)

  @Option(help: "What to feed: all, or one of \(Targets.names.joined(separator: ", ")).")
  var target = "all"

  @Option(help: "Inputs for each target.")
  var runs: Int?

  @Option(help: "Seconds for each target, whatever the number of inputs.")
  var seconds: Int?

  @Option(help: "The sequence of inputs follows from it.")
  var seed: UInt64 = 1

  @Option(help: "Feeds the one input that this file holds, and says what it does.")
  var input: String?

  @Flag(help: "For --target ferry-codecs: --runs for every single message type.")
  var eachCodec = false

  @Flag(help: "Prints the names of the targets.")
  var list = false

  @Option(help: "Writes some inputs of the target into this folder, for libFuzzer to start from.")
  var writeCorpus: String?

  @Option(help: "Where inputs that broke something are kept.")
  var folder = ".build/fuzz"

  @Flag(help: "Guided by coverage: libFuzzer chooses the inputs. Needs the build of scripts/fuzz --coverage.")
  var coverage = false

  @Argument(parsing: .postTerminator, help: "Options for libFuzzer, after --.")
  var driverArguments: [String] = []

  func validate() throws {
    guard target == "all" || Targets.names.contains(target) else {
      throw ValidationError("There is no target \(target); there are all, \(Targets.names.joined(separator: ", ")).")
    }
    if target == "all", input != nil || writeCorpus != nil || coverage {
      throw ValidationError("Name the one --target that this is for.")
    }
  }

  func run() throws {
    if list { return print(Targets.names.joined(separator: "\n")) }
    makeFolder()
    if let writeCorpus { return try Corpus.write(Targets.make(target), seed: seed, folder: writeCorpus) }
    if coverage {
      guard let result = Coverage.run(Targets.make(target), arguments: driverArguments) else {
        throw ValidationError("This build has no libFuzzer in it; scripts/fuzz --coverage makes one that has.")
      }
      throw ExitCode(result)
    }
    Process.spoilFreeMemory()
    if let input { throw ExitCode(try replay(input)) }
    var isClean = true
    for name in target == "all" ? Targets.names : [target] {
      var count = runs ?? (seconds == nil ? 1_000_000 : .max)
      if eachCodec, name == "ferry-codecs", count < .max { count *= FerryMessages.all.count }
      let runner = Runner(target: Targets.make(name), seed: seed, runs: count, seconds: seconds, folder: folder)
      isClean = runner.run() && isClean
    }
    print(isClean ? "OK: nothing found" : "FAILED: see FOUND above")
    if !isClean { throw ExitCode(1) }
  }

  private func makeFolder() {
    var path = ""
    for part in folder.split(separator: "/", omittingEmptySubsequences: false) {
      path += part + "/"
      mkdir(path, 0o755)  // one that is there already is as good; a file that cannot be written there is told later
    }
  }

  private func replay(_ path: String) throws -> Int32 {
    guard let file = fopen(path, "rb") else { throw ValidationError("\(path) cannot be opened.") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&block, 1, block.count, file), count > 0 { bytes += block[..<count] }
    return Replay.run(Targets.make(target), bytes)
  }
}

/// The targets by name. Each run makes a new one: an input must not depend on those before it.
enum Targets {
  static let names = ["message-reader", "ferry-codecs", "ferry-json", "http2-server", "http2-client"]

  static func make(_ name: String) -> any FuzzTarget {
    switch name {
    case "ferry-codecs": FerryCodecTarget()
    case "ferry-json": FerryJSONTarget()
    case "http2-server": HTTP2Target(role: .server)
    case "http2-client": HTTP2Target(role: .client)
    default: MessageReaderTarget()
    }
  }
}

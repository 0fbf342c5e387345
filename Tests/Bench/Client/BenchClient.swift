// rpc-bench-client: keeps a number of unary echo calls under way on each of several connections and says how many ended in
// how much time, for `scripts/bench client`. The C++ client of scripts/benches/peers does the same.
import ArgumentParser
import BenchEcho
import Glibc
import NIOCore
import NIOPosix
import RPC

@main
struct BenchClient: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rpc-bench-client", abstract: "Calls bench.Echo/Say as fast as it can and prints what it saw as JSON.")

  @Option var host = "127.0.0.1"
  @Option var port: Int
  @Option(help: "Connections, each with its own calls.") var connections = 8
  @Option(help: "Calls under way on each connection.") var streams = 32
  @Option(help: "Bytes of each message's payload.") var size = 100
  @Option(help: "How long to go on.") var seconds = 3.0
  @Option(help: "Bearer token that each call carries, with a deadline and a traceparent.") var token: String?

  func run() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let loop = group.next()
    let options = Calls(payload: (0..<size).map { UInt8($0 & 255) }, token: token)
    let end = NIODeadline.now() + .nanoseconds(Int64(seconds * 1e9))
    let start = NIODeadline.now()
    var latencies: [Int64] = []
    try await withThrowingTaskGroup(of: [Int64].self) { tasks in
      for _ in 0..<connections {
        let channel = ClientChannel(host: host, port: port, group: group)
        for _ in 0..<streams {
          // On the connections' own event loop, so that a call and its answer stay on one thread.
          tasks.addTask(executorPreference: RPC.LoopExecutor(loop)) { try await options.run(on: channel, until: end) }
        }
      }
      for try await part in tasks { latencies += part }
    }
    report(latencies, elapsed: NIODeadline.now() - start)
  }

  private func report(_ latencies: [Int64], elapsed: TimeAmount) {
    let sorted = latencies.sorted()
    let mean = Double(sorted.reduce(0, +)) / Double(max(1, sorted.count)) / 1000
    func percentile(_ part: Double) -> Double {
      sorted.isEmpty ? 0 : Double(sorted[min(sorted.count - 1, Int(part * Double(sorted.count)))]) / 1000
    }
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let cpu =
      Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6
    print(
      "{\"calls\": \(sorted.count), \"seconds\": \(Double(elapsed.nanoseconds) / 1e9), \"cpu_seconds\": \(cpu), "
        + "\"mean_us\": \(mean), \"p50_us\": \(percentile(0.5)), \"p99_us\": \(percentile(0.99))}")
  }
}

/// One caller's loop.
private struct Calls: Sendable {
  let payload: [UInt8]
  let token: String?
  private static let timeout: Duration = .seconds(10)
  private static let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

  struct WrongAnswer: Error, CustomStringConvertible {
    var description: String { "an answer is not the echo of its request" }
  }

  func run(on channel: ClientChannel, until end: NIODeadline) async throws -> [Int64] {
    let request = EchoMessage.with { $0.payload = payload }
    var metadata = Metadata()
    if let token { metadata = Metadata([("authorization", "Bearer \(token)"), ("traceparent", Self.trace)]) }
    var latencies: [Int64] = []
    var before = NIODeadline.now()
    while before < end {
      let options = CallOptions(metadata: metadata, deadline: token == nil ? nil : .after(Self.timeout))
      let answer = try await channel.unary(Echo.say, request, options)
      guard answer.payload == payload else { throw WrongAnswer() }
      let now = NIODeadline.now()
      latencies.append((now - before).nanoseconds)
      before = now
    }
    return latencies
  }
}

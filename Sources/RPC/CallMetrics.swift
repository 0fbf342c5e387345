// Counts calls and their times by method and status, as an interceptor, and prints them for Prometheus ("Exposition
// formats", prometheus.io; names after OpenTelemetry's "Semantic conventions for RPC").
import NIOCore
import Synchronization

/// The calls of one server. Methods are those that are called, up to a bound.
public final class CallMetrics: Sendable {
  /// Methods that are told apart; calls of any further one are counted as "other".
  public static let maxMethods = 512
  /// Upper bounds of the histogram's buckets, in seconds.
  public static let buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
  private static let bucketNanoseconds = buckets.map { Int64($0 * 1e9) }
  private static let codes = 17

  /// What is known of one method. Counters only ever grow. They lie in one block, which nobody has to retain to count; it is
  /// freed with its method, and that makes `@unchecked Sendable` true.
  private final class Method: @unchecked Sendable {
    let running = Atomic<Int>(0)
    let nanoseconds = Atomic<Int64>(0)
    private let counters: UnsafeMutablePointer<Atomic<Int>>
    private static let count = CallMetrics.codes + CallMetrics.buckets.count + 1

    init() {
      counters = .allocate(capacity: Self.count)
      for index in 0..<Self.count { (counters + index).initialize(to: Atomic(0)) }
    }

    deinit {
      counters.deinitialize(count: Self.count)
      counters.deallocate()
    }

    func add(code: Int, bucket: Int) {
      counters[code].add(1, ordering: .relaxed)
      counters[CallMetrics.codes + bucket].add(1, ordering: .relaxed)
    }

    func calls(code: Int) -> Int { counters[code].load(ordering: .relaxed) }
    /// The bucket after the last is for all that is slower.
    func calls(bucket: Int) -> Int { counters[CallMetrics.codes + bucket].load(ordering: .relaxed) }
  }

  private let methods = Mutex<[String: Method]>([:])

  public init() {}

  /// Outermost of all, so that what other interceptors refuse counts too. Calls of unknown methods, and those refused because
  /// the server is full, reach no interceptor.
  public var interceptor: ServerInterceptor {
    ServerInterceptor(
      before: { [self] (context) throws(RPCError) in
        state(context).running.add(1, ordering: .relaxed)
      },
      after: { [self] context, error in
        Self.record(state(context), context.arrived, context.endedWith ?? error?.code ?? .ok)
      })
  }

  private func state(_ context: CallContext) -> Method {
    context.methodState(of: self) { method(context.path) }
  }

  private static func record(_ method: Method, _ start: NIODeadline, _ code: StatusCode) {
    let time = (NIODeadline.now() - start).nanoseconds
    method.running.subtract(1, ordering: .relaxed)
    method.nanoseconds.add(time, ordering: .relaxed)
    let bucket = bucketNanoseconds.firstIndex { time <= $0 } ?? bucketNanoseconds.count
    method.add(code: min(Int(code.rawValue), codes - 1), bucket: bucket)
  }

  private func method(_ path: String) -> Method {
    methods.withLock { methods in
      if let method = methods[path] { return method }
      let name = methods.count < Self.maxMethods ? path : "other"
      if let other = methods[name] { return other }
      let method = Method()
      methods[name] = method
      return method
    }
  }

  /// Everything that was counted, as Prometheus reads it.
  public func exposition() -> String {
    let methods = methods.withLock { $0 }.sorted { $0.key < $1.key }
    var lines = [
      "# HELP rpc_server_requests_total Calls that have ended.", "# TYPE rpc_server_requests_total counter",
    ]
    for (path, method) in methods {
      for code in 0..<Self.codes {
        let count = method.calls(code: code)
        guard count > 0 else { continue }
        let name = StatusCode(rawValue: UInt32(code)).description
        lines.append("rpc_server_requests_total{method=\"\(Self.escaped(path))\",code=\"\(name)\"} \(count)")
      }
    }
    lines += ["# HELP rpc_server_active_requests Calls that run now.", "# TYPE rpc_server_active_requests gauge"]
    for (path, method) in methods {
      lines.append(
        "rpc_server_active_requests{method=\"\(Self.escaped(path))\"} \(method.running.load(ordering: .relaxed))")
    }
    lines += [
      "# HELP rpc_server_duration_seconds Time from a call's request to its status.",
      "# TYPE rpc_server_duration_seconds histogram",
    ]
    for (path, method) in methods { lines += Self.histogram(Self.escaped(path), method) }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func histogram(_ path: String, _ method: Method) -> [String] {
    var lines: [String] = []
    var total = 0
    for index in 0...buckets.count {
      total += method.calls(bucket: index)
      let bound = index < buckets.count ? "\(buckets[index])" : "+Inf"
      lines.append("rpc_server_duration_seconds_bucket{method=\"\(path)\",le=\"\(bound)\"} \(total)")
    }
    let seconds = Double(method.nanoseconds.load(ordering: .relaxed)) / 1e9
    lines.append("rpc_server_duration_seconds_sum{method=\"\(path)\"} \(seconds)")
    lines.append("rpc_server_duration_seconds_count{method=\"\(path)\"} \(total)")
    return lines
  }

  /// A label's value: a caller chose the path, so it may hold anything.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      case "\n": result += "\\n"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}

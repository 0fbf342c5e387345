// What the tests of calls stand on: a server with a client of ours, and a way to wait for what happens on either side.
import InteropMessages
import RPC
import Synchronization

/// A server on a free port and a channel to it, ended when the test is.
struct Pair {
  let server: Server
  let channel: ClientChannel
  let port: Int

  static func with<R>(
    interceptors: [ServerInterceptor] = [], server serverConfiguration: ServerConfiguration = ServerConfiguration(),
    client: ClientConfiguration = ClientConfiguration(), clientInterceptors: [ClientInterceptor] = [],
    _ more: (inout Router) -> Void = { _ in }, _ body: (Pair) async throws -> R
  ) async throws -> R {
    var router = Router()
    TestService.register(in: &router)
    more(&router)
    router.enableReflection([TestService.file])
    let server = Server(router, interceptors: interceptors, configuration: serverConfiguration)
    let port = try await server.start(host: "127.0.0.1", port: 0)
    let channel = ClientChannel(
      host: "127.0.0.1", port: port, configuration: client, interceptors: clientInterceptors)
    let pair = Pair(server: server, channel: channel, port: port)
    do {
      let result = try await body(pair)
      await pair.end()
      return result
    } catch {
      await pair.end()
      throw error
    }
  }

  private func end() async {
    await channel.close()
    await server.shutdown(grace: .milliseconds(200))
  }
}

func responses(_ sizes: [Int32], interval: Int32 = 0) -> StreamingOutputCallRequest {
  .with {
    $0.responseParameters = sizes.map { size in
      .with {
        $0.size = size
        $0.intervalUS = interval
      }
    }
  }
}

/// A port on which nobody listens.
func closedPort() async throws -> Int { try await Pair.with { $0.port } }

/// What happened, in order, and a way to wait for it.
final class Log<Entry: Sendable>: Sendable {
  private struct State {
    var entries: [Entry] = []
    var waiters: [AsyncStream<Void>.Continuation] = []
  }
  private let state = Mutex(State())

  var entries: [Entry] { state.withLock { $0.entries } }

  func add(_ entry: Entry) {
    let waiters = state.withLock { state in
      state.entries.append(entry)
      return state.waiters
    }
    for waiter in waiters { waiter.yield() }
  }

  /// Waits until this holds of what has happened. Ends early if the task is cancelled.
  @discardableResult
  func until(_ holds: ([Entry]) -> Bool) async -> [Entry] {
    let changes = AsyncStream<Void> { continuation in state.withLock { $0.waiters.append(continuation) } }
    if holds(entries) { return entries }
    for await _ in changes where holds(entries) { break }
    return entries
  }
}

extension Log where Entry: Equatable {
  /// Waits until this has happened.
  func until(_ entry: Entry) async { _ = await until { $0.contains(entry) } }
}

/// Opens once; whoever waits goes on then, or when its task is cancelled.
final class Gate: Sendable {
  private let log = Log<Bool>()
  var isOpen: Bool { !log.entries.isEmpty }
  func open() { log.add(true) }
  func wait() async { await log.until(true) }
}

/// Waits for what a fault would make us wait for without end: nil if it has not come in this time.
func within<R: Sendable>(_ time: Duration, _ body: @escaping @Sendable () async -> R) async -> R? {
  let log = Log<R?>()
  let work = Task { log.add(await body()) }
  let limit = Task {
    // A cancelled sleep only means that the work is done.
    try? await Task.sleep(for: time)
    log.add(nil)
  }
  let first = await log.until { !$0.isEmpty }.first ?? nil
  work.cancel()
  limit.cancel()
  return first
}

/// The error of a call that must not succeed.
func failure<R>(_ body: () async throws(RPCError) -> R) async -> RPCError? {
  do throws(RPCError) {
    _ = try await body()
    return nil
  } catch { return error }
}

/// Counts from any thread.
final class Count: Sendable {
  private let number = Atomic(0)
  var value: Int { number.load(ordering: .relaxed) }
  /// The number that this one has, from 1.
  @discardableResult
  func add() -> Int { number.add(1, ordering: .relaxed).newValue }
}

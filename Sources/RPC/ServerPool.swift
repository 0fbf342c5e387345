// The servers of a target: finds their addresses, keeps a subchannel for each, and picks one for each call.
import HTTP2
import NIOCore
import ProtoWire
import Synchronization

final class ServerPool: Sendable {
  private struct State {
    var subchannels: [Subchannel] = []
    var turn = 0
    var resolution: Pending<Result<Void, RPCError>>?
    var resolvedAt: NIODeadline?
    /// Something failed since the addresses were found: they may have changed.
    var isStale = false
    var isClosed = false
  }

  /// A name is looked up at most this often while nothing else is known to have changed.
  static let minResolutionInterval = TimeAmount.seconds(1)

  private let target: Target
  private let group: any EventLoopGroup
  private let configuration: ClientConfiguration
  private let policy: LoadBalancing
  private let tls: Result<TLSContextSource?, RPCError>
  private let state = Mutex(State())

  init(_ target: Target, group: any EventLoopGroup, configuration: ClientConfiguration) {
    self.target = target
    self.group = group
    self.configuration = configuration
    policy = configuration.serviceConfig.loadBalancing ?? configuration.loadBalancing
    do throws(RPCError) {
      tls = .success(try configuration.tls.map { tls throws(RPCError) in try TLSContextSource(tls) })
    } catch { tls = .failure(error) }
    if case .addresses(let addresses) = target { state.withLock { replace(&$0, with: addresses) } }
  }

  /// The connection for the next call, if one can be had without waiting.
  func ready() -> ClientConnection? {
    let (subchannels, turn, isStale) = state.withLock { state in
      state.turn &+= 1
      return (state.subchannels, state.turn, state.isStale)
    }
    if subchannels.count == 1 { return subchannels[0].ready }
    let connections = subchannels.map(\.ready)
    if case .pickFirst = policy {} else {
      // Servers that are not connected come back while the others serve, and a name may stand for others by now.
      for (subchannel, connection) in zip(subchannels, connections) where connection == nil { _ = subchannel.step() }
      if isStale { _ = startResolution() }
    }
    let loads = connections.map { $0?.running.load(ordering: .relaxed) }
    return policy.pick(loads, turn: turn, random: configuration.random).flatMap { connections[$0] }
  }

  /// The connection for the next call. Waits for one to be made; without wait-for-ready it fails when all servers do.
  func connection(_ options: CallOptions) async throws(RPCError) -> ClientConnection {
    let waits = options.waitForReady ?? false
    while true {
      if Task.isCancelled { throw RPCError(.cancelled, "the call was cancelled") }
      try checkDeadline(options.deadline)
      do throws(RPCError) { try await resolve(options.deadline) } catch {
        guard waits, error.code == .unavailable else { throw error }
        await pause(until: .now() + Subchannel.backoff(attempts: 0, configuration, random: 0), options.deadline)
        continue
      }
      if let ready = ready() { return ready }
      let attempt = try await connect(options.deadline)
      switch attempt {
      case .ready(let connection): return connection
      case .connecting: continue
      case .failed(let error, let until):
        guard waits, error.code == .unavailable, until != .distantFuture else { throw error }
        await pause(until: until, options.deadline)
      }
    }
  }

  /// Asks the subchannels one after the other (pick-first) or all at once, until one is connected or all have failed.
  private func connect(_ deadline: Deadline?) async throws(RPCError) -> Subchannel.Step {
    let subchannels = state.withLock { $0.subchannels }
    guard !subchannels.isEmpty else { return .failed(closedError, until: .distantFuture) }
    if case .pickFirst = policy {} else { return try await connectAny(subchannels, deadline) }
    var failure = (closedError, NIODeadline.distantFuture)
    for subchannel in subchannels {
      switch subchannel.step() {
      case .ready(let connection): return .ready(connection)
      case .failed(let error, let until): failure = (error, min(failure.1, until))
      case .connecting(let attempt):
        switch try await result(of: attempt, by: deadline) {
        case .success(let connection): return .ready(connection)
        case .failure(let error): failure = (error, min(failure.1, nextAttempt))
        }
      }
    }
    return .failed(failure.0, until: failure.1)
  }

  /// Starts all that may start, and takes the first that is there.
  private func connectAny(_ subchannels: [Subchannel], _ deadline: Deadline?) async throws(RPCError) -> Subchannel.Step {
    var attempts: [Subchannel.Attempt] = []
    var failure = (closedError, NIODeadline.distantFuture)
    for subchannel in subchannels {
      switch subchannel.step() {
      case .ready(let connection): return .ready(connection)
      case .failed(let error, let until): failure = (error, min(failure.1, until))
      case .connecting(let attempt): attempts.append(attempt)
      }
    }
    guard !attempts.isEmpty else { return .failed(failure.0, until: failure.1) }
    let first = Subchannel.Attempt()
    let left = Countdown(attempts.count)
    for attempt in attempts {
      attempt.whenComplete { result in
        if case .success = result { first.complete(result) } else if left.countDown() { first.complete(result) }
      }
    }
    switch try await result(of: first, by: deadline) {
    case .success(let connection): return .ready(connection)
    case .failure(let error): return .failed(error, until: min(failure.1, nextAttempt))
    }
  }

  private final class Countdown: Sendable {
    private let count: Atomic<Int>
    init(_ count: Int) { self.count = Atomic(count) }
    /// True for the last.
    func countDown() -> Bool { count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
  }

  private var nextAttempt: NIODeadline { .now() + TimeAmount(clamping: configuration.initialBackoff) }

  private var closedError: RPCError {
    state.withLock { $0.isClosed }
      ? RPCError(.unavailable, "the channel to \(target.authority) is closed")
      : RPCError(.unavailable, "the name \(target.authority) stands for no address")
  }

  private func checkDeadline(_ deadline: Deadline?) throws(RPCError) {
    if let deadline, deadline.instant <= .now() { throw Self.late(target) }
  }

  private static func late(_ target: Target) -> RPCError {
    RPCError(.deadlineExceeded, "the deadline passed before there was a connection to \(target.authority)")
  }

  /// - Throws: `deadlineExceeded` or `cancelled` if that comes first.
  private func result<R: Sendable>(
    of pending: Pending<Result<R, RPCError>>, by deadline: Deadline?
  ) async throws(RPCError) -> Result<R, RPCError> {
    if let result = await pending.value(by: deadline, on: group.any()) { return result }
    if Task.isCancelled { throw RPCError(.cancelled, "the call was cancelled") }
    throw Self.late(target)
  }

  private func pause(until moment: NIODeadline, _ deadline: Deadline?) async {
    let end = deadline.map { min($0.instant, moment) } ?? moment
    let left = (end - .now()).nanoseconds
    // A cancelled sleep is seen by the caller's own check.
    if left > 0 { try? await Task.sleep(for: .nanoseconds(left)) }
  }

  // MARK: Addresses

  /// Looks the target's name up if that has not been done or the addresses may have changed.
  private func resolve(_ deadline: Deadline?) async throws(RPCError) {
    if case .failure(let error) = tls { throw error }
    if let resolution = startResolution() { try await result(of: resolution, by: deadline).get() }
  }

  /// The look-up that is under way, or a new one if one is due.
  private func startResolution() -> Pending<Result<Void, RPCError>>? {
    guard case .dns(let host, let port) = target else { return nil }
    return state.withLock { state in
      if state.isClosed { return nil }
      if let running = state.resolution { return running }
      let isOld = state.resolvedAt.map { .now() - $0 >= Self.minResolutionInterval } ?? true
      guard state.subchannels.isEmpty || (state.isStale && isOld) else { return nil }
      let resolution = Pending<Result<Void, RPCError>>()
      state.resolution = resolution
      Task { resolution.complete(await self.lookUp(host, port)) }
      return resolution
    }
  }

  private func lookUp(_ host: String, _ port: Int) async -> Result<Void, RPCError> {
    let found: Result<[ServerAddress], RPCError>
    do throws(RPCError) { found = .success(try await configuration.resolve(host, port)) } catch {
      found = .failure(error)
    }
    return state.withLock { state in
      state.resolution = nil
      switch found {
      case .success(let addresses):
        state.resolvedAt = .now()
        state.isStale = false
        if !state.isClosed { replace(&state, with: addresses) }
        return .success(())
      // Addresses that are known still serve.
      case .failure(let error): return state.subchannels.isEmpty ? .failure(error) : .success(())
      }
    }
  }

  /// Keeps the subchannels of addresses that stay, with their connections.
  private func replace(_ state: inout State, with addresses: [ServerAddress]) {
    var former = Dictionary(state.subchannels.map { ($0.address, $0) }) { first, _ in first }
    let tls: TLSContextSource? = if case .success(let source) = tls { source } else { nil }
    state.subchannels = addresses.map { address in
      former.removeValue(forKey: address)
        ?? Subchannel(address, group: group, configuration: configuration, tls: tls) { [weak self] in
          self?.state.withLock { $0.isStale = true }
        }
    }
    for gone in former.values { gone.retire() }
  }

  func forget(_ connection: ClientConnection) {
    for subchannel in state.withLock({ $0.subchannels }) { subchannel.forget(connection) }
  }

  func close() async {
    let subchannels = state.withLock { state in
      state.isClosed = true
      defer { state.subchannels = [] }
      return state.subchannels
    }
    for subchannel in subchannels { await subchannel.close() }
  }
}

// A bounded pool of control connections to one FTP server: made when needed, reused, replaced when dead, waited for in
// order. Uploads and read-backs hold theirs for long; while they idle they give way to whoever waits.
import Synchronization
import Transport

/// How many wait for a connection, and who could give one up. Shared with threads inside libcurl.
final class FTPDemand: Sendable {
  private struct State {
    var waiting = 0
    var nudges: [Int: @Sendable () -> Void] = [:]
    var next = 0
  }
  private let state = Mutex(State())

  /// True for as many holders as there are waiters: the one that asks gives its connection up.
  func claim() -> Bool {
    state.withLock { state in
      guard state.waiting > 0 else { return false }
      state.waiting -= 1
      return true
    }
  }

  /// - Parameter nudge: has the holder ask `claim`, if it idles.
  func hold(_ nudge: @escaping @Sendable () -> Void) -> Int {
    state.withLock { state in
      state.next += 1
      state.nudges[state.next] = nudge
      return state.next
    }
  }

  func release(_ holder: Int) { state.withLock { _ = $0.nudges.removeValue(forKey: holder) } }

  /// Has every idle holder look up.
  func nudge() {
    for nudge in state.withLock({ Array($0.nudges.values) }) { nudge() }
  }

  func set(waiting: Int) {
    let wanted = state.withLock { state in
      let more = waiting > state.waiting
      state.waiting = waiting
      return more
    }
    if wanted { nudge() }
  }
}

actor FTPPool {
  /// More callers than this don't wait for a connection; they are told that the destination is busy.
  static let maxWaiting = 1024

  private enum Turn: Sendable {
    case use(FTPConnection)
    /// The waiter may make a connection; it is counted already.
    case open
  }

  struct Lease: Sendable {
    let connection: FTPConnection
    /// False if it was made for this lease.
    let reused: Bool
  }

  private struct Waiter {
    let number: Int
    let turn: CheckedContinuation<Result<Turn, DestinationError>, Never>
  }

  nonisolated let demand = FTPDemand()
  nonisolated let endpoint: SSHEndpoint
  private let server: FTPServer
  private let lockingServers: LockingServers
  private let most: Int
  /// Falls below `most` while the server refuses more connections.
  private var limit: Int
  private var idle: [FTPConnection] = []
  /// Idle, lent and being made.
  private var count = 0
  private var waiters: [Waiter] = [] {
    didSet { demand.set(waiting: waiters.count) }
  }
  private var nextWaiter = 0
  private var closed = false
  private var loggedIn = false
  /// What the last connection was told.
  private(set) var features: FTPFeatures?
  /// What the last connection was shown; nil without TLS.
  private(set) var certificate: FTPCertificate?
  /// Whether a rename takes the place of a file that is there: nil until one was tried.
  private(set) var replacesByRename: Bool?

  init(_ settings: DestinationSettings) {
    endpoint = settings.address.endpoint
    server = FTPServer(settings)
    lockingServers = settings.lockingServers
    most = settings.maxConnections
    limit = settings.maxConnections
  }

  /// The server keeps readers off a file that is being written.
  nonisolated var locksUploads: Bool { lockingServers.contains(endpoint) }

  nonisolated func noteLockedUploads() { lockingServers.note(endpoint) }

  /// A connection could be had at once, and nobody waits for one.
  var hasRoom: Bool { waiters.isEmpty && (!idle.isEmpty || count < limit) }

  func note(replacesByRename: Bool) { self.replacesByRename = replacesByRename }

  // MARK: Lend

  /// Every lease must be given back.
  func lease() async throws(DestinationError) -> Lease {
    if closed { throw Self.closedError(endpoint) }
    while let connection = idle.popLast() {
      if await connection.isAlive() { return Lease(connection: connection, reused: true) }
      await connection.close()
      forget()
    }
    if closed { throw Self.closedError(endpoint) }
    if count < limit {
      count += 1
      return try await open()
    }
    return try await wait()
  }

  /// Makes a connection for whoever wants the next one, if none is idle and there is room: its login then costs no time.
  func prepare() async {
    guard idle.isEmpty, hasRoom, !closed else { return }
    count += 1
    guard let lease = try? await open() else { return }
    await giveBack(lease.connection)
  }

  func giveBack(_ connection: FTPConnection) async {
    if connection.isUsable, !closed {
      if waiters.isEmpty {
        idle.append(connection)
      } else {
        waiters.removeFirst().turn.resume(returning: .success(.use(connection)))
      }
      return
    }
    await connection.close()
    forget()
  }

  private func forget() {
    count -= 1
    if count == 0 { limit = most }
    if !waiters.isEmpty, count < limit {
      count += 1
      waiters.removeFirst().turn.resume(returning: .success(.open))
    }
  }

  private func open() async throws(DestinationError) -> Lease {
    let connection = FTPConnection(server)
    let outcome = await withTaskCancellationHandler {
      do throws(FTPError) { return Result<Void, FTPError>.success(try await connection.connect()) } catch {
        return .failure(error)
      }
    } onCancel: {
      connection.abort()
    }
    switch outcome {
    case .success:
      features = await connection.features
      certificate = await connection.certificate
      loggedIn = true
      return Lease(connection: connection, reused: false)
    case .failure(let error):
      await connection.close()
      // Some servers say "530" to one connection too many, in words of their own; the password was good before.
      let refusedLate = error.kind == .loginRefused && loggedIn
      let tooMany = (error.retryable || refusedLate) && count > 1 && !Task.isCancelled
      if tooMany { limit = max(1, count - 1) }
      forget()
      // Another may have come back meanwhile; to wait for it then would be to wait for nobody.
      if tooMany, !closed { return try await lease() }
      throw DestinationError(error)
    }
  }

  // MARK: Wait

  private func wait() async throws(DestinationError) -> Lease {
    guard waiters.count < Self.maxWaiting else {
      throw DestinationError(
        .busy, "\(Self.maxWaiting) tasks already wait for a connection to \(endpoint).",
        nextStep: "Send fewer files at once, or allow more connections.")
    }
    let number = nextWaiter
    nextWaiter += 1
    let outcome = await withTaskCancellationHandler {
      await withCheckedContinuation { (turn: CheckedContinuation<Result<Turn, DestinationError>, Never>) in
        if Task.isCancelled {
          turn.resume(returning: .failure(Self.cancelledError(endpoint)))
        } else {
          waiters.append(Waiter(number: number, turn: turn))
        }
      }
    } onCancel: {
      Task { await self.cancel(number) }
    }
    switch outcome {
    case .failure(let error): throw error
    case .success(.open): return try await open()
    case .success(.use(let connection)):
      return Lease(connection: connection, reused: true)
    }
  }

  private func cancel(_ number: Int) {
    guard let index = waiters.firstIndex(where: { $0.number == number }) else { return }
    waiters.remove(at: index).turn.resume(returning: .failure(Self.cancelledError(endpoint)))
  }

  // MARK: Close

  /// Idle connections end now, lent ones as they come back; waiters are told.
  func close() async {
    closed = true
    let waiting = waiters
    waiters = []
    for waiter in waiting { waiter.turn.resume(returning: .failure(Self.closedError(endpoint))) }
    let leaving = idle
    idle = []
    count -= leaving.count
    for connection in leaving { await connection.close() }
  }

  private static func closedError(_ endpoint: SSHEndpoint) -> DestinationError {
    DestinationError(.cancelled, "The destination \(endpoint) was closed.", nextStep: "Open it again.")
  }

  private static func cancelledError(_ endpoint: SSHEndpoint) -> DestinationError {
    DestinationError(
      .cancelled, "Waiting for a connection to \(endpoint) was cancelled.", nextStep: "Start it again if it is wanted.")
  }
}

extension FTPPool {
  /// Lends a connection to `body`. One that turns out to have died while it was idle is replaced and `body` run again,
  /// so `body` must be repeatable unless `repeatable` is false.
  nonisolated func withConnection<Value: Sendable>(
    repeatable: Bool = true, _ body: @Sendable (FTPConnection) async throws(FTPError) -> Value
  ) async throws(DestinationError) -> Value {
    while true {
      let lease = try await lease()
      do throws(FTPError) {
        let value = try await withAbort(lease.connection, body)
        await giveBack(lease.connection)
        return value
      } catch {
        await giveBack(lease.connection)
        let diedIdle = lease.reused && !lease.connection.isUsable && error.kind != .timeout && !Task.isCancelled
        if !(repeatable && diedIdle) { throw DestinationError(error) }
      }
    }
  }

  private nonisolated func withAbort<Value: Sendable>(
    _ connection: FTPConnection, _ body: @Sendable (FTPConnection) async throws(FTPError) -> Value
  ) async throws(FTPError) -> Value {
    try await withTaskCancellationHandler {
      do throws(FTPError) { return Result<Value, FTPError>.success(try await body(connection)) } catch {
        return .failure(error)
      }
    } onCancel: {
      connection.abort()
    }.get()
  }
}

// A bounded pool of SFTP connections to one server: made when needed, reused, replaced when dead, waited for in order.
import Transport

actor SFTPPool {
  /// More callers than this don't wait for a connection; they are told that the destination is busy.
  static let maxWaiting = 1024

  private enum Turn: Sendable {
    case use(SFTPConnection)
    /// The waiter may make a connection; it is counted already.
    case open
  }

  struct Lease: Sendable {
    let connection: SFTPConnection
    /// False if it was made for this lease.
    let reused: Bool
  }

  private struct Waiter {
    let number: Int
    let turn: CheckedContinuation<Result<Turn, DestinationError>, Never>
  }

  private let endpoint: SSHEndpoint
  private let login: SSHLogin
  private let timeouts: SSHTimeouts
  private let most: Int
  private var hostKeys: SSHHostKeyPolicy
  /// Falls below `most` while the server refuses more connections.
  private var limit: Int
  private var idle: [SFTPConnection] = []
  /// Idle, lent and being made.
  private var count = 0
  private var waiters: [Waiter] = []
  private var nextWaiter = 0
  private var closed = false
  /// What the last connection found.
  private(set) var server: SSHServer?

  init(_ settings: DestinationSettings) {
    endpoint = settings.address.endpoint
    login = SSHLogin(settings)
    timeouts = settings.timeouts
    hostKeys = settings.hostKeys
    most = settings.maxConnections
    limit = settings.maxConnections
  }

  // MARK: Lend

  /// Every lease must be given back.
  func lease() async throws(DestinationError) -> Lease {
    if closed { throw Self.closedError(endpoint) }
    while let connection = idle.popLast() {
      if connection.isUsable { return Lease(connection: connection, reused: true) }
      count -= 1
      await connection.close()
    }
    if count < limit {
      count += 1
      return try await open()
    }
    return try await wait()
  }

  func giveBack(_ connection: SFTPConnection) async {
    if connection.isUsable, !closed {
      if waiters.isEmpty {
        idle.append(connection)
      } else {
        waiters.removeFirst().turn.resume(returning: .success(.use(connection)))
      }
      return
    }
    forget()
    await connection.close()
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
    let connection = SFTPConnection(to: endpoint, login: login, hostKeys: hostKeys, timeouts: timeouts)
    let outcome = await withTaskCancellationHandler {
      do throws(SFTPError) { return Result<SSHServer, SFTPError>.success(try await connection.connect()) } catch {
        return .failure(error)
      }
    } onCancel: {
      connection.abort()
    }
    switch outcome {
    case .success(let found):
      // A key accepted as new binds the connections that follow.
      if found.hostKeyIsNew, hostKeys.known.isEmpty { hostKeys.known = [found.hostKey.fingerprint] }
      server = found
      return Lease(connection: connection, reused: false)
    case .failure(let error):
      await connection.close()
      let tooMany = error.retryable && count > 1 && !Task.isCancelled
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

extension SFTPPool {
  /// Lends a connection to `body`. One that turns out to have died while it was idle is replaced and `body` run again,
  /// so `body` must be repeatable unless `repeatable` is false.
  nonisolated func withConnection<Value: Sendable>(
    repeatable: Bool = true, _ body: @Sendable (SFTPConnection) async throws(SFTPError) -> Value
  ) async throws(DestinationError) -> Value {
    while true {
      let lease = try await lease()
      do throws(SFTPError) {
        let value = try await body(lease.connection)
        await giveBack(lease.connection)
        return value
      } catch {
        await giveBack(lease.connection)
        let diedIdle = lease.reused && !lease.connection.isUsable && error.kind != .timeout && !Task.isCancelled
        if !(repeatable && diedIdle) { throw DestinationError(error) }
      }
    }
  }
}

extension SSHLogin {
  init(_ settings: DestinationSettings) {
    self.init(
      user: settings.address.user, password: settings.secrets.password, privateKey: settings.secrets.privateKey,
      passphrase: settings.secrets.passphrase)
  }
}

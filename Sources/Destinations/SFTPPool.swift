// A bounded pool of SFTP connections to one server: made when needed, shared by many calls at once, replaced when dead.
import NIOCore
import Synchronization
import Transport

actor SFTPPool {
  /// More calls than this at once are told that the destination is busy.
  static let maxCalls = 1024
  private static let callLoad = 4096
  /// A connection with this much to do (bytes) is helped by another where that is allowed.
  static let busyLoad = 1 << 20
  /// One with this much isn't given more bytes while another connection is being made.
  static let fullLoad = 8 << 20
  /// A file gets a connection for each of these bytes from the start.
  static let bytesPerConnection: Int64 = 16 << 20
  /// To a server that is nearer than this, OpenSSH's window of 2 MiB lets one connection carry what a processor can encipher:
  /// more connections than processors only cost them time.
  static let near = Duration.milliseconds(4)

  struct Lease: Sendable {
    let connection: SFTPConnection
    /// False if this is the first call on it.
    let reused: Bool
    let load: Int
  }

  private struct Member {
    let connection: SFTPConnection
    var calls = 0
    /// Bytes of the calls in progress, each call counting as some.
    var load = 0
    var used = false
  }

  private struct Waiter {
    let number: Int
    let turn: CheckedContinuation<DestinationError?, Never>
  }

  /// For what is read back: so many slices are kept between two uses.
  nonisolated let buffers = BufferPool(most: SFTPReader.slicesAhead / 4)
  /// Files that are being read back.
  nonisolated let readers = Atomic<Int>(0)
  private let endpoint: SSHEndpoint
  private let login: SSHLogin
  private let timeouts: SSHTimeouts
  private let most: Int
  private var hostKeys: SSHHostKeyPolicy
  /// Falls below `most` while the server refuses more connections.
  private var limit: Int
  /// The shortest that any connection has met.
  private var roundTrip = Duration.seconds(3600)
  private var members: [Int: Member] = [:]
  private var opening: [Int: SFTPConnection] = [:]
  /// Calls that wait for a connection to be made.
  private var waiters: [Waiter] = []
  private var nextWaiter = 0
  private var timeoutsInARow = 0
  private var calls = 0
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

  /// A connection to call on, together with others: of those in `preferred` (by number) unless they are busy, else the
  /// least busy. Every lease must be given back. `bytes`: how
  /// many are to come.
  func lease(preferring preferred: [Int] = [], bytes: Int = 0) async throws(DestinationError) -> Lease {
    guard calls < Self.maxCalls else {
      throw DestinationError(
        .busy, "\(Self.maxCalls) calls to \(endpoint) are in progress.",
        nextStep: "Send fewer files at once, or allow more connections.")
    }
    calls += 1
    do throws(DestinationError) {
      while true {
        if closed { throw Self.closedError(endpoint) }
        if let lease = choose(preferred, bytes) { return lease }
        if opening.isEmpty { open() }
        try await wait()
      }
    } catch {
      calls -= 1
      throw error
    }
  }

  private func choose(_ preferred: [Int], _ bytes: Int) -> Lease? {
    var best: (number: Int, load: Int)?
    for (number, member) in members {
      guard member.connection.isUsable else {
        remove(number)
        continue
      }
      let load = member.load + (preferred.contains(number) ? 0 : Self.busyLoad / 2)
      if load < best?.load ?? .max { best = (number, load) }
    }
    guard let best, var member = members[best.number] else { return nil }
    if best.load >= Self.busyLoad { open() }
    if bytes > 0, best.load >= Self.fullLoad, !opening.isEmpty { return nil }
    let lease = Lease(connection: member.connection, reused: member.used, load: bytes + Self.callLoad)
    member.used = true
    member.load += lease.load
    member.calls += 1
    members[best.number] = member
    return lease
  }

  /// `size` bytes are to come: connections that will help are made in time.
  func expect(_ size: Int64) {
    let wanted = min(Int64(useful), 1 + size / Self.bytesPerConnection)
    while !closed, !members.isEmpty, Int64(members.count + opening.count) < wanted { open() }
  }

  func giveBack(_ lease: Lease) {
    calls -= 1
    let number = lease.connection.number
    guard var member = members[number] else { return }
    member.calls -= 1
    member.load -= lease.load
    members[number] = member
    if !lease.connection.isUsable || (closed && member.calls == 0) { remove(number) }
  }

  /// A dead connection's other calls have failed by now, or are about to.
  private func remove(_ number: Int) {
    guard let member = members.removeValue(forKey: number) else { return }
    if members.isEmpty { limit = most }
    Task { await member.connection.close() }
  }

  // MARK: Open

  /// A server that takes a connection and then says nothing is told by a time limit alone. Long before that, those who wait
  /// get another one.
  private static let patience = Duration.seconds(3)

  /// More connections than this wouldn't make it any faster.
  private var useful: Int { roundTrip < Self.near ? min(limit, max(2, System.coreCount)) : limit }

  private func open() {
    guard members.count + opening.count < useful, !closed else { return }
    let connection = SFTPConnection(to: endpoint, login: login, hostKeys: hostKeys, timeouts: timeouts)
    let number = connection.number
    opening[number] = connection
    Task {
      // Nobody cancels this sleep; at its end it is seen whether the connection is still being made.
      try? await Task.sleep(for: Self.patience)
      self.lostPatience(with: number)
    }
    Task {
      do throws(SFTPError) {
        let found = try await connection.connect()
        await self.opened(connection, found)
      } catch {
        await connection.close()
        self.failed(connection, error)
      }
    }
  }

  private func lostPatience(with number: Int) {
    if opening[number] != nil, members.isEmpty, !waiters.isEmpty { open() }
  }

  private func opened(_ connection: SFTPConnection, _ found: SSHServer) async {
    opening[connection.number] = nil
    timeoutsInARow = 0
    // A key accepted as new binds the connections that follow.
    if found.hostKeyIsNew, hostKeys.known.isEmpty { hostKeys.known = [found.hostKey.fingerprint] }
    server = found
    roundTrip = min(roundTrip, found.roundTrip)
    if closed { return await connection.close() }
    members[connection.number] = Member(connection: connection)
    wake(nil)
  }

  private func failed(_ connection: SFTPConnection, _ error: SFTPError) {
    opening[connection.number] = nil
    timeoutsInARow = error.kind == .timeout ? timeoutsInARow + 1 : 0
    if !members.isEmpty {
      // Those that are there will do. Should they all go, the server is asked again.
      limit = max(1, members.count + opening.count)
      wake(nil)
    } else if opening.isEmpty || timeoutsInARow >= most {
      wake(DestinationError(error))
    } else if error.kind == .timeout, !waiters.isEmpty {
      open()
    }
  }

  private func wake(_ error: DestinationError?) {
    let waiting = waiters
    waiters = []
    for waiter in waiting { waiter.turn.resume(returning: error) }
  }

  // MARK: Wait

  private func wait() async throws(DestinationError) {
    let number = nextWaiter
    nextWaiter += 1
    let error = await withTaskCancellationHandler {
      await withCheckedContinuation { (turn: CheckedContinuation<DestinationError?, Never>) in
        if Task.isCancelled {
          turn.resume(returning: Self.cancelledError(endpoint))
          abandonUnwanted()
        } else {
          waiters.append(Waiter(number: number, turn: turn))
        }
      }
    } onCancel: {
      Task { await self.cancel(number) }
    }
    if let error { throw error }
  }

  private func cancel(_ number: Int) {
    guard let index = waiters.firstIndex(where: { $0.number == number }) else { return }
    waiters.remove(at: index).turn.resume(returning: Self.cancelledError(endpoint))
    abandonUnwanted()
  }

  /// A connection that nobody waits for any more isn't made.
  private func abandonUnwanted() {
    if waiters.isEmpty, members.isEmpty { for connection in opening.values { connection.abort() } }
  }

  // MARK: Close

  func abort() async {
    for member in members.values { member.connection.abort() }
    await close()
  }

  /// Connections without a call in progress end now, the others with their last call; those that wait are told.
  func close() async {
    closed = true
    wake(Self.closedError(endpoint))
    for connection in opening.values { connection.abort() }
    let leaving = members.filter { $0.value.calls == 0 }
    for number in leaving.keys { members[number] = nil }
    for member in leaving.values { await member.connection.close() }
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
  /// Tries on other connections after one that died while nobody used it.
  private static let maxRepeats = 8

  /// Lends a connection to `body`. One that turns out to have died is replaced and `body` run again, so `body` must be
  /// repeatable unless `repeatable` is false.
  nonisolated func withConnection<Value: Sendable>(
    preferring preferred: [Int] = [], bytes: Int = 0, repeatable: Bool = true,
    _ body: @Sendable (SFTPConnection) async throws(SFTPError) -> Value
  ) async throws(DestinationError) -> Value {
    var repeats = 0
    while true {
      let lease = try await lease(preferring: preferred, bytes: bytes)
      do throws(SFTPError) {
        let value = try await body(lease.connection)
        await giveBack(lease)
        return value
      } catch {
        await giveBack(lease)
        let died = lease.reused && !lease.connection.isUsable && error.kind != .timeout && !Task.isCancelled
        repeats += 1
        if !(repeatable && died) || repeats > Self.maxRepeats { throw DestinationError(error) }
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

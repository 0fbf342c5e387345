// One SSH connection with its SFTP session, on one thread of its own. It connects step by step, sends nothing secret
// before the host key is trusted, and after any doubt about the stream counts as dead. Many calls may be in progress at
// once: the server gets them all and answers as it likes. Its files are in SFTPFiles.swift.
import NIOCore
import Synchronization

/// An open file of one connection. Worth nothing on another, or after the connection is closed.
public struct SFTPHandle: Sendable, Hashable {
  let connection: Int
  let number: UInt64
}

/// Make it, `connect()` once, use it, `close()` it.
/// After an error of kind timeout, connectionLost or closed it stays unusable: make a new one.
public actor SFTPConnection {
  public nonisolated let endpoint: SSHEndpoint
  /// Unlike any other connection's of this process.
  public nonisolated let number = count.wrappingAdd(1, ordering: .relaxed).newValue
  private static let count = Atomic(0)
  /// More handles than this are refused; OpenSSH allows a thousand.
  public static let maxHandles = 512

  private let login: SSHLogin
  private let hostKeys: SSHHostKeyPolicy
  private let timeouts: SSHTimeouts
  private nonisolated let thread: SSHThread
  private nonisolated let line = Line()

  private(set) var session: SSHSession?
  private var channel: SFTPChannel?
  let commands = SSHCommands()
  /// What the server offers beyond version 3, with versions.
  var offeredExtensions: [String: String] = [:]
  private var files: [UInt64: OpenFile] = [:]
  private var nextHandle: UInt64 = 1
  private var roundTrip = Duration.zero

  struct OpenFile {
    let raw: [UInt8]
    let path: String
  }

  /// What other threads may touch: the socket, to end a blocked call, and whether the connection still works.
  private final class Line: Sendable {
    let state = Mutex<(socket: SSHSocket?, usable: Bool, aborted: Bool)>((nil, false, false))
  }

  public init(
    to endpoint: SSHEndpoint, login: SSHLogin, hostKeys: SSHHostKeyPolicy, timeouts: SSHTimeouts = SSHTimeouts()
  ) {
    self.endpoint = endpoint
    self.login = login
    self.hostKeys = hostKeys
    self.timeouts = timeouts
    thread = SSHThread()
  }

  deinit {
    thread.stop()
  }

  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  /// False before `connect()` has succeeded and after anything put the stream in doubt.
  public nonisolated var isUsable: Bool { line.state.withLock { $0.usable } }

  /// Ends any call in progress with an error, at once, from any thread. Call `close()` after it.
  public nonisolated func abort() {
    line.state.withLock { state in
      state.usable = false
      state.aborted = true
      state.socket?.shutdown()
    }
  }

  // MARK: Connect

  /// Takes all steps in order; each is told to `report` as it ends, the failed one last.
  @discardableResult
  public func connect(
    report: @Sendable (SSHStepReport) -> Void = { _ in }
  ) async throws(SFTPError) -> SSHServer {
    let addresses = try step(.resolve, report) { () throws(SFTPError) in
      let found = try SSHSocket.resolve(endpoint, timeout: timeouts.connect)
      return (found, found.map(\.description).joined(separator: ", "))
    }
    var (session, address) = try step(.connect, report) { () throws(SFTPError) in
      let (session, address) = try dial(addresses)
      return ((session, address), address.description)
    }
    try step(.handshake, report) { () throws(SFTPError) in
      try session.handshake(hostKeyTypes: nil)
      return ((), session.banner)
    }
    let (trusted, hostKey, isNew) = try step(.hostKey, report) { () throws(SFTPError) in
      let (trusted, key, isNew) = try checkHostKey(session, at: address)
      return ((trusted, key, isNew), "\(key.type) \(key.fingerprint)")
    }
    session = trusted
    let method = try step(.login, report) { () throws(SFTPError) in
      let method = try session.login(login)
      return (method, method)
    }
    self.session = session
    try await startSFTP(session, report)
    return SSHServer(
      address: address.description, banner: session.banner, hostKey: hostKey, hostKeyIsNew: isNew, loginMethod: method,
      roundTrip: roundTrip)
  }

  private func startSFTP(_ session: SSHSession, _ report: @Sendable (SSHStepReport) -> Void) async throws(SFTPError) {
    let start = ContinuousClock.now
    do throws(SFTPError) {
      session.startPolling(wake: thread.wake)
      let channel = try SFTPChannel(session, ioTimeout: timeouts.io)
      self.channel = channel
      line.state.withLock { $0.usable = !$0.aborted }
      let (line, commands, keepAlive) = (line, commands, timeouts.keepAlive)
      thread.waitWith { [weak self] in
        let idleSince = ContinuousClock.now
        let isAnswered = commands.step()
        let limit = isAnswered ? .zero : commands.isWaiting ? min(keepAlive, Self.commandTick) : keepAlive
        if !channel.run(limit) {
          line.state.withLock { $0.usable = false }
          commands.end()
          self?.thread.waitWith(nil)
          return
        }
        guard ContinuousClock.now - idleSince >= keepAlive, let self else { return }
        Task { await self.keepAlive() }
      }
      try await greet(channel)
    } catch {
      line.state.withLock { $0.usable = false }
      report(SSHStepReport(step: .sftp, duration: .now - start, detail: error.message, error: error))
      throw error
    }
    report(SSHStepReport(step: .sftp, duration: .now - start, detail: "version 3", error: nil))
  }

  /// How soon a command's silence is noticed.
  private static let commandTick = Duration.milliseconds(200)

  private func greet(_ channel: SFTPChannel) async throws(SFTPError) {
    var start = ContinuousClock.now
    defer { roundTrip = .now - start }
    let answer = await withCheckedContinuation { (done: CheckedContinuation<SFTPChannel.Answer, Never>) in
      channel.start { done.resume(returning: $0) }
    }
    var version = try reply(answer, "start SFTP").body
    // The number was read as a request's; what follows are the extensions.
    while let name = version.readSSHString(), let text = version.readSSHString() { offeredExtensions[name] = text }
    guard offeredExtensions["limits@openssh.com"] != nil else { return }
    var body = ByteBuffer()
    body.writeSSHString("limits@openssh.com")
    start = .now  // the first answer may have had to wait for a program to start
    var limits = try await ask(SFTPPacket.extended, body, "tell its limits")
    guard limits.type == SFTPPacket.extendedReply, limits.body.readInteger(as: UInt64.self) != nil,
      let read = limits.body.readInteger(as: UInt64.self), let write = limits.body.readInteger(as: UInt64.self)
    else { return }
    func piece(_ limit: UInt64) -> Int {
      limit < UInt64(SFTPPacket.plainPiece) ? SFTPPacket.plainPiece : Int(min(limit, UInt64(SFTPPacket.maxPiece)))
    }
    (channel.maxRead, channel.maxWrite) = (piece(read), piece(write))
  }

  private func step<Value>(
    _ step: SSHStep, _ report: @Sendable (SSHStepReport) -> Void,
    _ body: () throws(SFTPError) -> (Value, String)
  ) throws(SFTPError) -> Value {
    let start = ContinuousClock.now
    do throws(SFTPError) {
      let aborted = line.state.withLock { $0.aborted }
      if aborted || Task.isCancelled {
        throw SFTPError(
          .cancelled, "Connecting to \(endpoint) was cancelled.", nextStep: "Start it again if it is wanted.")
      }
      let (value, detail) = try body()
      report(SSHStepReport(step: step, duration: ContinuousClock.now - start, detail: detail, error: nil))
      return value
    } catch {
      line.state.withLock { $0.socket = nil }
      report(SSHStepReport(step: step, duration: ContinuousClock.now - start, detail: error.message, error: error))
      throw error
    }
  }

  private func dial(_ addresses: [SocketAddress]) throws(SFTPError) -> (SSHSession, SocketAddress) {
    let (socket, address) = try SSHSocket.connect(to: addresses, of: endpoint, timeout: timeouts.connect)
    line.state.withLock { $0.socket = socket }
    return (try SSHSession(socket, to: endpoint, timeout: timeouts.handshake), address)
  }

  /// The key types asked for one after the other when the first key shown isn't an expected one.
  private static let hostKeyTypes = [
    "ssh-ed25519", "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521", "rsa-sha2-512,rsa-sha2-256,ssh-rsa",
  ]

  /// A server may own keys of several types and shows one a handshake. If that one isn't expected, the others are asked
  /// for, a connection each, before the key counts as changed.
  private func checkHostKey(
    _ session: SSHSession, at address: SocketAddress
  ) throws(SFTPError) -> (SSHSession, SSHHostKey, isNew: Bool) {
    let shown = try session.hostKey()
    switch hostKeys.decide(shown) {
    case .trusted: return (session, shown, false)
    case .accepted: return (session, shown, true)
    case .unknown:
      throw SFTPError(
        .hostKeyUnknown, "The host key of \(endpoint) is not known: it showed \(shown.type) \(shown.fingerprint).",
        nextStep: "Compare it with the server's owner, then save it with the destination.",
        shownHostKey: shown.fingerprint)
    case .changed(let expected):
      session.sayGoodbye()
      for types in Self.hostKeyTypes where !types.contains(shown.type) {
        guard let (other, key) = try handshake(at: address, hostKeyTypes: types) else { continue }
        if hostKeys.decide(key) == .trusted { return (other, key, false) }
      }
      throw SFTPError(
        .hostKeyChanged,
        "The host key of \(endpoint) is not the expected one: it showed \(shown.type) \(shown.fingerprint), "
          + "expected was \(expected.joined(separator: " or ")).",
        nextStep: "Someone may be posing as the server: ask its owner whether the key was changed before you save it.",
        shownHostKey: shown.fingerprint)
    }
  }

  /// Nil if the server has no key of these types.
  private func handshake(
    at address: SocketAddress, hostKeyTypes: String
  ) throws(SFTPError) -> (SSHSession, SSHHostKey)? {
    let (session, _) = try dial([address])
    do throws(SFTPError) {
      try session.handshake(hostKeyTypes: hostKeyTypes)
    } catch {
      if error.kind == .handshake { return nil }
      throw error
    }
    return (session, try session.hostKey())
  }

  // MARK: Upkeep

  /// A small question to the server. It keeps firewalls and both ends content, and finds a dead peer while nobody waits
  /// for it.
  private func keepAlive() async {
    guard isUsable else { return }
    // The outcome is kept in `isUsable`; nobody is there to be told.
    _ = try? await attributes(of: ".")
  }

  /// Closes the connection, and with it every handle, and ends the thread. Never fails; calling it again does nothing.
  public func close() {
    let graceful = isUsable
    line.state.withLock { $0.usable = false }
    if !graceful { line.state.withLock { $0.socket?.shutdown() } }
    thread.waitWith(nil)
    commands.end()
    channel?.end()
    files = [:]
    if graceful { session?.sayGoodbye() }
    channel = nil
    session = nil
    line.state.withLock { $0.socket = nil }
    thread.stop()
  }

  // MARK: For the operations

  var closed: SFTPError {
    SFTPError(.closed, "The connection to \(endpoint) is closed.", nextStep: "Connect again.")
  }

  func live() throws(SFTPError) -> SFTPChannel {
    guard isUsable, let channel else { throw closed }
    return channel
  }

  /// The stream is in doubt: no call is to be made on it any more.
  func giveUp() { line.state.withLock { $0.usable = false } }

  func register(_ raw: [UInt8], path: String) -> SFTPHandle {
    let number = nextHandle
    nextHandle += 1
    files[number] = OpenFile(raw: raw, path: path)
    return SFTPHandle(connection: self.number, number: number)
  }

  func forget(_ handle: SFTPHandle) { files[handle.number] = nil }
  var openFiles: Int { files.count }

  func file(_ handle: SFTPHandle) throws(SFTPError) -> OpenFile {
    guard handle.connection == number, let file = files[handle.number] else {
      throw SFTPError(.closed, "The file's handle at \(endpoint) is closed.", nextStep: "Open the file again.")
    }
    return file
  }
}

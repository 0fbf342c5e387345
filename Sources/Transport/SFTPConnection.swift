// One SSH connection with its SFTP session, on one thread of its own. It connects step by step, sends nothing secret
// before the host key is trusted, and after any doubt about the stream counts as dead. Its files are in
// SFTPFiles.swift.
import CSSH2
import NIOCore
import Synchronization

/// An open file of one connection. Worth nothing on another, or after the connection is closed.
public struct SFTPHandle: Sendable, Hashable {
  let connection: Int
  let number: UInt64
}

/// Blocking calls run on this actor's own thread. Make it, `connect()` once, use it, `close()` it.
/// After an error of kind timeout, connectionLost or closed it stays unusable: make a new one.
public actor SFTPConnection {
  public nonisolated let endpoint: SSHEndpoint
  /// Unlike any other connection's of this process.
  public nonisolated let number = count.wrappingAdd(1, ordering: .relaxed).newValue
  private static let count = Atomic(0)
  /// More handles than this are refused; OpenSSH allows a few hundred.
  public static let maxHandles = 64

  private let login: SSHLogin
  private let hostKeys: SSHHostKeyPolicy
  private let timeouts: SSHTimeouts
  private nonisolated let thread: SSHThread
  private nonisolated let line = Line()

  var session: SSHSession?
  var sftp: OpaquePointer?
  var extensionChannel: SFTPExtensionChannel?
  var offeredExtensions: [String: String]?
  var files: [UInt64: OpenFile] = [:]
  private var nextHandle: UInt64 = 1
  private var lastUse = ContinuousClock.now

  struct OpenFile {
    let raw: OpaquePointer
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
    thread = SSHThread(idle: timeouts.keepAlive)
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
  public func connect(report: @Sendable (SSHStepReport) -> Void = { _ in }) throws(SFTPError) -> SSHServer {
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
    try step(.sftp, report) { () throws(SFTPError) in
      guard let sftp = libssh2_sftp_init(session.raw) else {
        throw session.error(
          .unsupported, "\(endpoint) started no SFTP for \(login.user)", next: "Ask the server's owner to allow SFTP.")
      }
      self.sftp = sftp
      session.setTimeout(timeouts.io)
      return ((), "version 3")
    }
    self.session = session
    line.state.withLock { $0.usable = !$0.aborted }
    thread.whenIdle { [weak self] in
      guard let self else { return }
      Task { await self.keepAlive() }
    }
    return SSHServer(
      address: address.description, banner: session.banner, hostKey: hostKey, hostKeyIsNew: isNew, loginMethod: method)
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
    "ssh-ed25519", "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521", "ssh-rsa",
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

  /// A small question to the server. It keeps firewalls and both ends content, answers the server's own keep-alives,
  /// and finds a dead peer while nobody waits for it.
  private func keepAlive() {
    guard isUsable, ContinuousClock.now - lastUse >= timeouts.keepAlive else { return }
    // The outcome is kept in `isUsable`; nobody is there to be told.
    _ = try? attributes(of: ".")
  }

  /// Closes handles and connection, and ends the thread. Never fails; calling it again does nothing.
  public func close() {
    let graceful = isUsable
    line.state.withLock { $0.usable = false }
    if !graceful { line.state.withLock { $0.socket?.shutdown() } }
    session?.setTimeout(.seconds(2))
    for file in files.values { libssh2_sftp_close_handle(file.raw) }
    files = [:]
    extensionChannel = nil
    if let sftp { libssh2_sftp_shutdown(sftp) }
    sftp = nil
    if graceful { session?.sayGoodbye() }
    session = nil
    line.state.withLock { $0.socket = nil }
    thread.stop()
  }

  // MARK: For the operations

  /// The live session and SFTP, or why there is none.
  func live() throws(SFTPError) -> (SSHSession, OpaquePointer) {
    guard isUsable, let session, let sftp else {
      throw SFTPError(.closed, "The connection to \(endpoint) is closed.", nextStep: "Connect again.")
    }
    lastUse = ContinuousClock.now
    return (session, sftp)
  }

  /// The error of the SFTP call that just failed. Anything but a status from the server leaves the stream in doubt.
  func failure(_ action: String) -> SFTPError {
    guard let session, let sftp else {
      return SFTPError(.closed, "The connection to \(endpoint) is closed.", nextStep: "Connect again.")
    }
    if session.lastError().code == LIBSSH2_ERROR_SFTP_PROTOCOL {
      let status = UInt(libssh2_sftp_last_error(sftp))
      if status != 0 { return SFTPStatus.error(status, action: action, at: endpoint.description) }
    }
    line.state.withLock { $0.usable = false }
    var error = session.error(.connectionLost, "\(endpoint) couldn't \(action)", next: "Try again.")
    if error.kind == .failure { error.kind = .connectionLost }
    return error
  }

  func register(_ raw: OpaquePointer, path: String) -> SFTPHandle {
    let number = nextHandle
    nextHandle += 1
    files[number] = OpenFile(raw: raw, path: path)
    return SFTPHandle(connection: self.number, number: number)
  }

  func file(_ handle: SFTPHandle) throws(SFTPError) -> OpenFile {
    guard handle.connection == number, let file = files[handle.number] else {
      throw SFTPError(.closed, "The file's handle at \(endpoint) is closed.", nextStep: "Open the file again.")
    }
    return file
  }
}

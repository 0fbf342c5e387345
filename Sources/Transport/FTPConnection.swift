// One control connection to an FTP server, on one thread of its own, with one file or command on it at a time. After
// any doubt about what the server will say next it counts as dead. Names, sizes and hashes are in FTPNames.swift.
import CCurl
import NIOCore
import Synchronization

/// Blocking calls run on this actor's own thread. Make it, `connect()` once, use it, `close()` it.
public actor FTPConnection {
  public nonisolated let server: FTPServer
  /// Unlike any other connection's of this process.
  public nonisolated let number = count.wrappingAdd(1, ordering: .relaxed).newValue
  private static let count = Atomic(0)
  /// What a command or password line may have at the most.
  static let maxCommandBytes = 8192
  private static let farewellPatience = Duration.seconds(2)

  private nonisolated let thread: SSHThread
  private nonisolated let line = Line()
  private var handle: FTPHandle?
  public internal(set) var features = FTPFeatures()
  /// The folder that the login begins in, if the server tells.
  private(set) var home: String?
  /// What the server showed when it was connected to; nil without TLS.
  public private(set) var certificate: FTPCertificate?
  /// The server counts bytes as they are; false after a listing, which is text.
  private var isBinary = false
  /// Each control connection is then good for one file: see `FTPHandle` on TLS 1.3.
  private var usesTLS13 = false
  private var spent = false
  /// The algorithm of HASH on this connection, once it was chosen here.
  var chosenHash: FTPHash?
  /// A server without MLST, SIZE or the like is not asked again.
  var refused: Set<String> = []

  /// What other threads may touch: what blocks the thread, to end it, and whether the connection still works.
  private final class Line: Sendable {
    struct State {
      var usable = false
      var aborted = false
      var roundTrip = Duration.zero
      var interrupt: (@Sendable () -> Void)?
    }
    let state = Mutex(State())
  }

  public init(_ server: FTPServer) {
    self.server = server
    thread = SSHThread(idle: server.timeouts.keepAlive)
  }

  deinit { thread.stop() }

  public nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  public nonisolated var endpoint: SSHEndpoint { server.endpoint }

  /// False before `connect()` has succeeded and after anything put the connection in doubt.
  public nonisolated var isUsable: Bool { line.state.withLock { $0.usable } }

  /// Of one packet, as name look-up and TCP handshake took it.
  public nonisolated var roundTrip: Duration { line.state.withLock { $0.roundTrip } }

  /// Ends any call in progress with an error within a second, from any thread. Call `close()` after it.
  public nonisolated func abort() {
    let interrupt = line.state.withLock { state in
      state.usable = false
      state.aborted = true
      return state.interrupt
    }
    interrupt?()
  }

  /// False if the server ended the connection while it was idle.
  public func isAlive() -> Bool {
    guard isUsable, let handle else { return false }
    if !handle.isQuiet { giveUp() }
    return isUsable
  }

  // MARK: Connect

  /// Resolves, connects, secures and logs in; the steps are told to `report` at the end.
  public func connect(report: @Sendable (FTPStepReport) -> Void = { _ in }) throws(FTPError) {
    try check(server.user, "user name")
    try check(server.password, "password")
    if server.active, server.security != .none, Self.losesActiveTLS {
      throw FTPError(
        .unsupported, "Did not connect to \(endpoint): this machine's libcurl can't use the active mode with TLS.",
        nextStep: "Use the passive mode for this destination, or a libcurl of version 8 or newer.")
    }
    let start = ContinuousClock.now
    var (handle, outcome) = try dial(server)
    if outcome.code == CURLE_SSL_CONNECT_ERROR, !server.allowsTLS13 {
      // No version, or no cipher, of TLS 1.2 in common: vsftpd as it comes has none.
      var newer = server
      newer.allowsTLS13 = true
      (handle, outcome) = try dial(newer)
      usesTLS13 = outcome.succeeded
    }
    self.handle = handle
    let steps = FTPSteps(handle, server, outcome, started: start)
    guard outcome.succeeded, outcome.replies.all.count >= 2 else {
      let error = steps.failure(outcome)
      steps.report(error, to: report)
      giveUp()
      throw error
    }
    steps.report(nil, to: report)
    let answers = outcome.replies.all.suffix(2)
    features = FTPFeatures(answers.first)
    isBinary = answers.last?.isPositive ?? false
    home = handle.text(CURLINFO_FTP_ENTRY_PATH)
    certificate = steps.certificate
    line.state.withLock { $0.roundTrip = steps.connected }
    line.state.withLock { $0.usable = !$0.aborted }
    // Servers that know only UTF-8 refuse the option, which is as good.
    if features.utf8 { _ = try commands(["OPTS UTF8 ON"], "agree on UTF-8 names") }
  }

  /// libcurl 7.88 waits for good in the handshake of a data connection that the server opened; its own program does too.
  private static let losesActiveTLS: Bool = {
    let firstUnaffected: UInt32 = 0x080000
    guard let info = curl_version_info(CURLVERSION_FIRST) else { return false }
    return info.pointee.version_num < firstUnaffected
  }()

  private func dial(_ server: FTPServer) throws(FTPError) -> (FTPHandle, FTPOutcome) {
    let line = line
    guard let handle = FTPHandle(server, isAborted: { line.state.withLock { $0.aborted } }) else {
      throw FTPError(
        .failure, "Couldn't connect to \(endpoint): this machine is out of memory.", nextStep: "Free some and try again.")
    }
    handle.keepCertificates(true)
    let outcome = handle.run(["FEAT", "TYPE I"], patience: server.timeouts.handshake)
    handle.keepCertificates(false)
    return (handle, outcome)
  }

  /// Another control connection in the place of one that has carried its file.
  private func renew() throws(FTPError) {
    var newer = server
    newer.allowsTLS13 = true
    _ = handle?.run(["QUIT"], patience: Self.farewellPatience)
    handle = nil
    let (handle, outcome) = try dial(newer)
    guard outcome.succeeded else {
      giveUp()
      throw FTPError(outcome, "connect again", .other, at: endpoint)
    }
    self.handle = handle
    (spent, isBinary, chosenHash) = (false, true, nil)
    if features.utf8 { _ = try commands(["OPTS UTF8 ON"], "agree on UTF-8 names") }
  }

  /// Before each data connection.
  private func readyForData() throws(FTPError) {
    if spent, isUsable { try renew() }
    spent = usesTLS13
  }

  /// Says goodbye, if that makes sense, and frees everything.
  public func close() {
    if isUsable { _ = handle?.run(["QUIT"], patience: Self.farewellPatience) }
    giveUp()
    thread.stop()
  }

  private func giveUp() {
    line.state.withLock { $0.usable = false }
    handle = nil
  }

  private func check(_ text: String, _ what: String) throws(FTPError) {
    if text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) || text.utf8.count > Self.maxCommandBytes {
      throw FTPError(
        .invalid, "Did not log in to \(endpoint): the \(what) has a control character in it, or is too long.",
        nextStep: "Correct it.")
    }
  }

  // MARK: Exchanges

  /// Sends the commands one after another, whatever comes of each, and returns the replies, one a command.
  /// - Parameter doing: "rename /in/a.part", for errors.
  func commands(
    _ commands: [String], _ doing: String, patience: Duration? = nil
  ) throws(FTPError) -> [FTPReply] {
    for command in commands { try check(command: command, doing) }
    let outcome = try exchange(doing) { $0.run(commands, patience: patience ?? server.timeouts.io) }
    let replies = outcome.replies.all
    guard outcome.succeeded, replies.count >= commands.count else {
      giveUp()
      throw FTPError(outcome, doing, .other, at: endpoint)
    }
    let answers = Array(replies.suffix(commands.count))
    if let farewell = answers.first(where: { $0.code == 421 }) {
      giveUp()
      throw FTPError(farewell, doing, .other, at: endpoint)
    }
    return answers
  }

  func command(_ command: String, _ doing: String, patience: Duration? = nil) throws(FTPError) -> FTPReply {
    let replies = try commands([command], doing, patience: patience)
    return replies[0]  // one a command
  }

  /// Sizes are of bytes, not of text.
  func makeBinary() throws(FTPError) {
    if isBinary { return }
    _ = try command("TYPE I", "count in bytes")
    isBinary = true
  }

  /// Sends bytes from `offset` of the file on, which an offset of 0 empties, until the source ends; returns once the
  /// server has confirmed them.
  public func upload(_ path: String, at offset: Int64, from source: any FTPSource) throws(FTPError) {
    let doing = offset > 0 ? "write \(path) from byte \(offset) on" : "write \(path)"
    try check(command: path, doing)
    setInterrupt { source.interrupt() }
    defer { setInterrupt(nil) }
    try readyForData()
    let outcome = try exchange(doing) { $0.upload(path, at: offset, from: source) }
    try finish(outcome, doing, .write)
  }

  /// Reads from `offset` on to the end that the file has when the server gets there.
  public func retrieve(_ path: String, at offset: Int64, into sink: any FTPSink) throws(FTPError) {
    let doing = "read \(path)"
    try check(command: path, doing)
    setInterrupt { sink.interrupt() }
    defer { setInterrupt(nil) }
    try readyForData()
    let outcome = try exchange(doing) { $0.retrieve(path, at: offset, into: sink) }
    try finish(outcome, doing, .read)
  }

  /// The text that a LIST or the like gives, up to `most` bytes.
  func list(_ command: String, most: Int) throws(FTPError) -> String {
    let doing = "list a folder"
    try check(command: command, doing)
    let text = FTPText(most: most)
    isBinary = false
    try readyForData()
    let outcome = try exchange(doing) { $0.list(command, into: text) }
    try finish(outcome, doing, .read)
    return text.string
  }

  private func exchange(_ doing: String, _ body: (FTPHandle) -> FTPOutcome) throws(FTPError) -> FTPOutcome {
    guard isUsable, let handle else {
      throw FTPError(.closed, "Couldn't \(doing): the connection to \(endpoint) is closed.", nextStep: "Open another.")
    }
    let outcome = body(handle)
    // libcurl connected anew by itself: what was agreed on is forgotten.
    if outcome.replies.all.first?.code == 220 { line.state.withLock { $0.usable = false } }
    return outcome
  }

  private func finish(_ outcome: FTPOutcome, _ doing: String, _ action: FTPError.Action) throws(FTPError) {
    if outcome.succeeded {
      if action == .write || doing.hasPrefix("read") { isBinary = true }
      return
    }
    let keeps = [
      CURLE_UPLOAD_FAILED, CURLE_REMOTE_ACCESS_DENIED, CURLE_REMOTE_FILE_NOT_FOUND, CURLE_FTP_COULDNT_RETR_FILE,
      CURLE_PARTIAL_FILE, CURLE_REMOTE_DISK_FULL,
    ].contains(outcome.code)
    if !keeps || outcome.aborted || outcome.replies.refusal?.code == 421 || handle?.isQuiet != true { giveUp() }
    var error = FTPError(outcome, doing, action, at: endpoint)
    // An answer to another question: nothing was done, and another connection can be asked.
    // So it is when a data connection's handshake breaks: the control connection's went well.
    let astray = [
      CURLE_WEIRD_SERVER_REPLY, CURLE_FTP_WEIRD_PASV_REPLY, CURLE_FTP_WEIRD_227_FORMAT, CURLE_SSL_CONNECT_ERROR,
    ]
    if astray.contains(outcome.code), error.replyCode == 0 { (error.kind, error.retryable) = (.connectionLost, true) }
    throw error
  }

  private func setInterrupt(_ body: (@Sendable () -> Void)?) {
    let aborted = line.state.withLock { state in
      state.interrupt = body
      return state.aborted
    }
    if aborted { body?() }
  }

  /// A line break in a name would be another command.
  private func check(command: String, _ doing: String) throws(FTPError) {
    if command.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) || command.utf8.count > Self.maxCommandBytes {
      throw FTPError(
        .nameRefused, "Did not ask \(endpoint): the path has a control character in it, or is too long.",
        nextStep: "Rename the file, or give it another path at the destination.")
    }
  }
}

/// A listing, bounded.
private final class FTPText: FTPSink {
  private let most: Int
  private let bytes = Mutex<[UInt8]>([])

  init(most: Int) { self.most = most }

  func receive(_ more: UnsafeRawBufferPointer) -> Bool {
    bytes.withLock { bytes in
      bytes += more.prefix(most - bytes.count)
      return bytes.count < most
    }
  }

  func interrupt() {}

  var string: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
}

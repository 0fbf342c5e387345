// A command on the server, over an exec channel beside SFTP: lines in, lines out. What is run, and whether it may be,
// is the caller's business.
import NIOCore

/// `@unchecked Sendable`: confined to the thread of the connection that made it.
public final class SSHCommand: @unchecked Sendable {
  /// More output than this that nobody asked for ends the command.
  private static let maxUnread = 64 << 10
  private static let window = 128 << 10

  private enum State { case opening, requesting, running, ended }

  private let text: String
  private let channel: SSHChannel
  private var state = State.opening
  private var input = ByteBuffer()
  private var inputEnds = false
  private var output = ByteBuffer()
  private var waiter: (line: CheckedContinuation<String?, Never>, until: ContinuousClock.Instant)?

  init(_ text: String, on session: SSHSession) {
    (self.text, channel) = (text, SSHChannel(session, window: Self.window))
  }

  /// On the thread, by whoever started it or by the connection as it closes; before the session says goodbye. There is no
  /// `deinit` for it: that would run wherever the last reference is dropped.
  func end() {
    finish()
    channel.end()
  }

  var isWaiting: Bool { waiter != nil || state == .opening || state == .requesting }

  func send(_ text: String) { input.writeString(text) }
  func endInput() { inputEnds = true }

  /// The next line, without its end; nil if the command ended, or none came in time.
  func line(within limit: Duration, _ line: CheckedContinuation<String?, Never>) {
    guard waiter == nil else { return line.resume(returning: nil) }
    waiter = (line, .now + limit)
    answer()
  }

  /// Moves on as far as that goes without waiting. True if somebody who waited has an answer.
  func step() -> Bool {
    let hadWaiter = waiter != nil
    if state == .opening { move(channel.open(), to: .requesting) }
    if state == .requesting { move(channel.start("exec", text), to: .running) }
    if state == .running { read() }
    if state == .running, input.readableBytes > 0 {
      let sent = input.withUnsafeReadableBytes { channel.write($0) }
      if sent < 0 { finish() } else { input.moveReaderIndex(forwardBy: sent) }
    }
    if state == .running, inputEnds, input.readableBytes == 0 {
      let progress = channel.endInput()
      inputEnds = progress == .again
      if progress == .failed { finish() }
    }
    if let waiter, waiter.until <= .now { finish() }
    return hadWaiter && waiter == nil
  }

  private func move(_ progress: SSHChannel.Progress, to next: State) {
    if progress == .done { state = next } else if progress == .failed { finish() }
  }

  private func read() {
    while state == .running {
      switch channel.read() {
      case .bytes(let bytes): receive(bytes)
      case .again: return
      case .end, .failed: finish()
      }
    }
  }

  private func receive(_ bytes: UnsafeRawBufferPointer) {
    guard output.readableBytes + bytes.count <= Self.maxUnread else { return finish() }
    output.writeBytes(bytes)
    answer()
  }

  private func finish() {
    state = .ended
    answer()
  }

  private func answer() {
    guard let waiting = waiter else { return }
    if let end = output.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
      let line = output.readString(length: end - output.readerIndex)
      output.moveReaderIndex(forwardBy: 1)
      output.discardReadBytes()
      waiter = nil
      waiting.line.resume(returning: line)
    } else if state == .ended {
      waiter = nil
      waiting.line.resume(returning: nil)
    }
  }
}

extension SFTPConnection {
  /// More commands than this at once are refused: OpenSSH allows ten sessions on a connection.
  static let maxCommands = 8

  /// Starts `text` in the login's shell. Nil if that can't be tried.
  public func start(_ text: String) -> SSHCommand? {
    guard isUsable, commands.list.count < Self.maxCommands, let session else { return nil }
    let command = SSHCommand(text, on: session)
    commands.list.append(command)
    return command
  }

  public func send(_ text: String, to command: SSHCommand) { command.send(text) }
  /// Nil if the command ended, was refused, or said nothing in time.
  public func line(of command: SSHCommand, within limit: Duration) async -> String? {
    guard isUsable else { return nil }
    return await withCheckedContinuation { command.line(within: limit, $0) }
  }
  public func endInput(of command: SSHCommand) { command.endInput() }

  public func end(_ command: SSHCommand) {
    command.end()
    commands.list.removeAll { $0 === command }
  }
}

/// The commands of one connection. `@unchecked Sendable`: confined to its thread.
final class SSHCommands: @unchecked Sendable {
  var list: [SSHCommand] = []

  /// True if somebody who waited has an answer.
  func step() -> Bool { list.reduce(false) { $1.step() || $0 } }
  var isWaiting: Bool { list.contains(where: \.isWaiting) }

  func end() {
    for command in list { command.end() }
    list = []
  }
}

// One channel of a session: opened, given something to run, then bytes in both directions. No call waits; what they mean
// is the business of SFTPChannel and SSHCommand.
import CSSH2

/// Confined to the session's thread.
final class SSHChannel {
  enum Progress { case done, again, failed }
  enum Received {
    /// In the session's buffer.
    case bytes(UnsafeRawBufferPointer)
    case again
    /// The server sends no more.
    case end
    case failed
  }

  private let session: SSHSession
  private let window: Int
  private var raw: OpaquePointer?

  /// `window`: how far ahead the server may send.
  init(_ session: SSHSession, window: Int) { (self.session, self.window) = (session, window) }

  func open() -> Progress {
    switch session.openChannel(window: window, for: ObjectIdentifier(self)) {
    case .again: return .again
    case .failed: return .failed
    case .opened(let channel):
      raw = channel
      // What a program says to its error output is thrown away, or it would fill the window.
      _ = libssh2_channel_handle_extended_data2(channel, LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE)
      return .done
    }
  }

  /// `kind`: "subsystem" or "exec".
  func start(_ kind: String, _ what: String) -> Progress {
    guard let raw else { return .failed }
    return progress(
      libssh2_channel_process_startup(raw, kind, UInt32(kind.utf8.count), what, UInt32(what.utf8.count)))
  }

  /// How many bytes were taken; 0 if none can be for now, because the server's window is used up or keys are being
  /// exchanged; negative if the channel is closed. Nothing but the same bytes may follow a 0.
  func write(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let raw else { return -1 }
    let count = libssh2_channel_write_ex(raw, 0, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
    return count == Int(LIBSSH2_ERROR_EAGAIN) ? 0 : count
  }

  /// As many bytes as have come, and fit.
  func read() -> Received {
    guard let raw else { return .failed }
    let buffer = session.buffer
    let count = libssh2_channel_read_ex(raw, 0, buffer.bindMemory(to: CChar.self).baseAddress, buffer.count)
    if count > 0 { return .bytes(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
    if count == Int(LIBSSH2_ERROR_EAGAIN) { return .again }
    return count == 0 ? .end : .failed
  }

  func endInput() -> Progress {
    guard let raw else { return .failed }
    return progress(libssh2_channel_send_eof(raw))
  }

  /// On the session's thread, before it says goodbye. A channel that was not ended goes with its session.
  func end() {
    session.end(raw, of: ObjectIdentifier(self))
    raw = nil
  }

  private func progress(_ status: Int32) -> Progress {
    status == 0 ? .done : status == LIBSSH2_ERROR_EAGAIN ? .again : .failed
  }
}

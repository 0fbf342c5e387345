// OpenSSH's SFTP extensions that libssh2 1.10 has no call for: which ones a server offers, and
// posix-rename@openssh.com, the one way to replace a file in one step. They go over a second channel of the same
// connection, so that libssh2's own SFTP state is never touched. Source: draft-ietf-secsh-filexfer-02 sections 4 and 8;
// OpenSSH's PROTOCOL, section 4.
import CSSH2
import NIOCore

extension SFTPConnection {
  public static let posixRename = "posix-rename@openssh.com"

  /// The extensions that the server offers, with their versions. Empty if it offers none or allows no second channel.
  public func extensions() throws(SFTPError) -> [String: String] {
    if let offeredExtensions { return offeredExtensions }
    let (session, _) = try live()
    let channel = SFTPExtensionChannel(session)
    let offered = channel?.start()
    if offered == nil, !session.isAlive { throw failure("name its SFTP extensions") }
    offeredExtensions = offered ?? [:]
    extensionChannel = offered?[Self.posixRename] == nil ? nil : channel
    return offered ?? [:]
  }

  /// Renames in one step, over a `target` that may exist. Throws `unsupported` if the server has no
  /// posix-rename@openssh.com.
  public func replace(_ target: String, with source: String) throws(SFTPError) {
    let action = "rename \(source) over \(target)"
    guard try extensions()[Self.posixRename] != nil, let channel = extensionChannel else {
      throw SFTPStatus.error(SFTPStatus.unsupported, action: action, at: endpoint.description)
    }
    _ = try live()
    let status = try answer(channel.request(Self.posixRename, [source, target]), action)
    if status != 0 { throw SFTPStatus.error(status, action: action, at: endpoint.description) }
  }

  private func answer<Value>(_ value: Value?, _ action: String) throws(SFTPError) -> Value {
    if let value { return value }
    let error = failure(action)
    abort()
    throw error
  }
}

/// A second SFTP subsystem on a session, that knows SSH_FXP_INIT and SSH_FXP_EXTENDED alone. Confined to the session's
/// thread. Every call answers nil if the stream broke: the connection is then of no more use.
final class SFTPExtensionChannel {
  private let session: SSHSession  // kept, because the channel must be freed before it
  private let channel: OpaquePointer
  private var requestID: UInt32 = 0
  /// Longer answers than this are taken for a broken stream.
  private static let maxPacket = 256 << 10
  private static let window: UInt32 = 256 << 10

  private enum Packet {
    static let start: UInt8 = 1
    static let version: UInt8 = 2
    static let status: UInt8 = 101
    static let extended: UInt8 = 200
    static let protocolVersion: UInt32 = 3
  }

  /// Nil if the server allows no second channel or no SFTP on it.
  init?(_ session: SSHSession) {
    let channel = libssh2_channel_open_ex(
      session.raw, "session", 7, Self.window, UInt32(LIBSSH2_CHANNEL_PACKET_DEFAULT), nil, 0)
    guard let channel else { return nil }
    guard libssh2_channel_process_startup(channel, "subsystem", 9, "sftp", 4) == 0 else {
      libssh2_channel_free(channel)
      return nil
    }
    self.session = session
    self.channel = channel
  }

  deinit {
    libssh2_channel_free(channel)
  }

  func start() -> [String: String]? {
    guard send(ByteBuffer(integer: Packet.start, Packet.protocolVersion)), var reply = receive(),
      reply.readInteger(as: UInt8.self) == Packet.version, reply.readInteger(as: UInt32.self) != nil
    else { return nil }
    var offered: [String: String] = [:]
    while let name = reply.readSSHString(), let version = reply.readSSHString() { offered[name] = version }
    return offered
  }

  /// The status that the server answered.
  func request(_ name: String, _ arguments: [String]) -> UInt? {
    requestID &+= 1
    var packet = ByteBuffer(integer: Packet.extended, requestID)
    for text in [name] + arguments { packet.writeSSHString(text) }
    guard send(packet), var reply = receive(), reply.readInteger(as: UInt8.self) == Packet.status,
      reply.readInteger(as: UInt32.self) == requestID, let status = reply.readInteger(as: UInt32.self)
    else { return nil }
    return UInt(status)
  }

  private func send(_ body: ByteBuffer) -> Bool {
    var packet = ByteBuffer(integer: UInt32(body.readableBytes))
    packet.writeImmutableBuffer(body)
    while packet.readableBytes > 0 {
      let count = packet.withUnsafeReadableBytes { bytes in
        libssh2_channel_write_ex(channel, 0, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count)
      }
      guard count > 0 else { return false }
      packet.moveReaderIndex(forwardBy: count)
    }
    return true
  }

  private func receive() -> ByteBuffer? {
    guard var header = receive(4), let length = header.readInteger(as: UInt32.self), length <= Self.maxPacket else {
      return nil
    }
    return receive(Int(length))
  }

  private func receive(_ count: Int) -> ByteBuffer? {
    var bytes = [CChar](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let got = bytes.withUnsafeMutableBufferPointer { buffer in
        libssh2_channel_read_ex(channel, 0, buffer.baseAddress.map { $0 + filled }, count - filled)
      }
      guard got > 0 else { return nil }
      filled += got
    }
    return ByteBuffer(bytes: bytes.map { UInt8(bitPattern: $0) })
  }
}

extension ByteBuffer {
  fileprivate init(integer type: UInt8, _ number: UInt32) {
    self.init(integer: type)
    writeInteger(number)
  }

  fileprivate mutating func writeSSHString(_ text: String) {
    writeInteger(UInt32(text.utf8.count))
    writeString(text)
  }

  fileprivate mutating func readSSHString() -> String? {
    guard let length = readInteger(as: UInt32.self) else { return nil }
    return readString(length: Int(length))
  }
}

// The packets of SFTP version 3 as bytes (draft-ietf-secsh-filexfer-02), and of the extensions of OpenSSH that are used
// (OpenSSH's PROTOCOL, section 4).
import NIOCore

enum SFTPPacket {
  static let start: UInt8 = 1
  static let version: UInt8 = 2
  static let open: UInt8 = 3
  static let close: UInt8 = 4
  static let read: UInt8 = 5
  static let write: UInt8 = 6
  static let lstat: UInt8 = 7
  static let fstat: UInt8 = 8
  static let setstat: UInt8 = 9
  static let fsetstat: UInt8 = 10
  static let openFolder: UInt8 = 11
  static let readFolder: UInt8 = 12
  static let remove: UInt8 = 13
  static let makeFolder: UInt8 = 14
  static let removeFolder: UInt8 = 15
  static let realPath: UInt8 = 16
  static let stat: UInt8 = 17
  static let rename: UInt8 = 18
  static let extended: UInt8 = 200
  static let status: UInt8 = 101
  static let handle: UInt8 = 102
  static let data: UInt8 = 103
  static let name: UInt8 = 104
  static let attributes: UInt8 = 105
  static let extendedReply: UInt8 = 201

  static let protocolVersion: UInt32 = 3
  /// Longer answers than this are taken for a broken stream.
  static let maxLength = 512 << 10
  /// What every server takes in one read or write (section 3 of the draft); more where limits@openssh.com allows it.
  static let plainPiece = 32 << 10
  /// The most that is put into one read or write, as each costs both ends something of its own: OpenSSH takes 255 KiB.
  static let maxPiece = 192 << 10
}

/// An answer to a request, without its length and number.
struct SFTPReply: Sendable {
  var type: UInt8
  var body: ByteBuffer

  /// SSH_FX_… of a status packet; nil for another packet.
  var status: UInt? {
    guard type == SFTPPacket.status else { return nil }
    return body.getInteger(at: body.readerIndex, as: UInt32.self).map { UInt($0) }
  }
}

extension ByteBuffer {
  mutating func writeSSHString(_ text: String) {
    writeInteger(UInt32(text.utf8.count))
    writeString(text)
  }

  mutating func writeSSHBytes(_ bytes: [UInt8]) {
    writeInteger(UInt32(bytes.count))
    writeBytes(bytes)
  }

  mutating func readSSHBytes() -> ByteBuffer? {
    guard let length = readInteger(as: UInt32.self) else { return nil }
    return readSlice(length: Int(length))
  }

  mutating func readSSHString() -> String? {
    readSSHBytes().map { String(decoding: $0.readableBytesView, as: UTF8.self) }
  }

  /// Section 5 of the draft.
  mutating func readSFTPAttributes() -> SFTPAttributes? {
    guard let flags = readInteger(as: UInt32.self) else { return nil }
    var attributes = SFTPAttributes()
    if flags & 1 != 0 {
      guard let size = readInteger(as: UInt64.self) else { return nil }
      attributes.size = Int64(clamping: size)
    }
    if flags & 2 != 0 { guard readInteger(as: UInt64.self) != nil else { return nil } }  // user and group
    if flags & 4 != 0 {
      guard let permissions = readInteger(as: UInt32.self) else { return nil }
      attributes.permissions = permissions
    }
    if flags & 8 != 0 {
      guard readInteger(as: UInt32.self) != nil, let modified = readInteger(as: UInt32.self) else { return nil }
      attributes.modified = Int64(modified)
    }
    if flags & 0x8000_0000 != 0 {
      guard let count = readInteger(as: UInt32.self) else { return nil }
      for _ in 0..<count { guard readSSHBytes() != nil, readSSHBytes() != nil else { return nil } }
    }
    return attributes
  }
}

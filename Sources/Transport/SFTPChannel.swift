// An SFTP subsystem on a session: many requests and ranges in flight at once, answered in any order. It knows packets
// and windows; what the requests mean is the business of SFTPConnection and SFTPFiles.
import NIOCore

/// `@unchecked Sendable`: confined to the thread of the connection that owns it.
final class SFTPChannel: @unchecked Sendable {
  enum Failure: Error, Sendable, Equatable {
    case timeout, closed
    case lost(String)
  }
  typealias Answer = Result<SFTPReply, Failure>
  /// Called on the thread.
  typealias Waiter = (Answer) -> Void

  /// Bytes sent and not yet answered, on one connection, and as many asked for. More wouldn't be sent any faster:
  /// OpenSSH takes 2 MiB ahead.
  static let maxInFlight = 4 << 20
  /// How far ahead the server may send: libssh2 lets a quarter of it run empty, and more than is asked for never comes.
  private static let window = 2 * maxInFlight
  /// Bytes of libssh2's beyond what the socket took.
  private static let maxQueued = 512 << 10
  /// So many of them are given to the socket at once.
  private static let portion = 256 << 10
  /// Requests that may wait to be sent; SFTPPool keeps far below it.
  static let maxRequests = 4096

  private enum Expected {
    case reply(Waiter)
    case piece(SFTPTransfer.Piece)
  }

  private struct Outgoing {
    var header: ByteBuffer
    var payload: ByteBuffer?
  }

  private let session: SSHSession
  private let channel: SSHChannel
  private let ioTimeout: Duration
  /// From limits@openssh.com.
  var maxRead = SFTPPacket.plainPiece
  var maxWrite = SFTPPacket.plainPiece

  private(set) var failure: Failure?
  private var expected: [UInt32: Expected] = [:]
  private var versionWaiter: Waiter?
  private var nextID: UInt32 = 0
  private var requests: [Outgoing] = []
  private var nextRequest = 0
  /// In the order they came: the first is done first. Neither kind waits for the other.
  private var writes = SFTPLane()
  private var reads = SFTPLane()
  private var readsNext = false
  private var current: Outgoing?
  private var lastProgress = ContinuousClock.now

  // What is being received.
  private var inbox = ByteBuffer()
  private var direct: (piece: SFTPTransfer.Piece, done: Int, left: Int)?

  init(_ session: SSHSession, ioTimeout: Duration) throws(SFTPError) {
    (self.session, self.ioTimeout) = (session, ioTimeout)
    channel = SSHChannel(session, window: Self.window)
    try session.complete("\(session.endpoint) started no SFTP", next: Self.allow, channel.open)
    try session.complete("\(session.endpoint) started no SFTP", next: Self.allow) { channel.start("subsystem", "sftp") }
  }
  private static let allow = "Ask the server's owner to allow SFTP."

  deinit { fail(.closed) }

  /// Before the session says goodbye.
  func end() {
    fail(.closed)
    channel.end()
  }

  // MARK: Ask

  func start(_ waiter: @escaping Waiter) {
    if let failure { return waiter(.failure(failure)) }
    versionWaiter = waiter
    var packet = ByteBuffer()
    packet.writeInteger(UInt32(5))
    packet.writeInteger(SFTPPacket.start)
    packet.writeInteger(SFTPPacket.protocolVersion)
    enqueue(Outgoing(header: packet))
  }

  func request(_ type: UInt8, _ body: ByteBuffer, _ waiter: @escaping Waiter) {
    if let failure { return waiter(.failure(failure)) }
    guard expected.count + requests.count < Self.maxRequests else {
      return waiter(.failure(.lost("more than \(Self.maxRequests) requests at once")))
    }
    let id = expect(.reply(waiter))
    var packet = ByteBufferAllocator().buffer(capacity: 9 + body.readableBytes)
    packet.writeInteger(UInt32(5 + body.readableBytes))
    packet.writeInteger(type)
    packet.writeInteger(id)
    packet.writeImmutableBuffer(body)
    enqueue(Outgoing(header: packet))
  }

  func add(_ transfer: SFTPTransfer) {
    if let failure { return transfer.fail(failure) }
    noteWork()
    if transfer.isWrite { writes.transfers.append(transfer) } else { reads.transfers.append(transfer) }
  }

  private func enqueue(_ packet: Outgoing) {
    noteWork()
    requests.append(packet)
  }

  private func expect(_ what: Expected) -> UInt32 {
    repeat { nextID &+= 1 } while expected[nextID] != nil
    expected[nextID] = what
    return nextID
  }

  private var isBusy: Bool {
    !expected.isEmpty || !writes.transfers.isEmpty || !reads.transfers.isEmpty || current != nil
      || versionWaiter != nil
  }
  private func noteWork() { if !isBusy { lastProgress = .now } }

  // MARK: Turn

  /// Sends what may be sent, waits for the network at most `limit`, and takes what came. False once it has failed.
  func run(_ limit: Duration) -> Bool {
    if failure != nil { return false }
    // A call for another channel may have brought something.
    var limit = receive() ? .zero : limit
    send()
    if isBusy { limit = min(limit, max(.zero, ioTimeout - (.now - lastProgress))) }
    if failure == nil, !session.poll(limit) { fail(.lost(session.farewell)) }
    _ = receive()
    if isBusy, .now - lastProgress >= ioTimeout { fail(.timeout) }
    return failure == nil
  }

  /// True if anything came.
  private func receive() -> Bool {
    var some = false
    while failure == nil {
      switch channel.read() {
      case .bytes(let bytes):
        some = true
        receive(bytes)
      case .again: return some
      case .end: fail(.lost("the server ended SFTP"))
      case .failed: fail(.lost(session.farewell))
      }
    }
    return some
  }

  private func send() {
    while failure == nil {
      if session.unsent >= Self.portion, !session.flush() { return fail(.lost("")) }
      guard session.unsent < Self.maxQueued else { return }
      if current == nil { current = next() }
      guard let packet = current else { return }
      if packet.header.readableBytes > 0 {
        let sent = write(packet.header)
        if sent == 0 { return }
        current?.header.moveReaderIndex(forwardBy: sent)
      } else if let payload = packet.payload, payload.readableBytes > 0 {
        let sent = write(payload)
        if sent == 0 { return }
        current?.payload?.moveReaderIndex(forwardBy: sent)
      } else {
        current = nil
      }
    }
  }

  /// 0 if nothing was taken: the server's window is used up, or the connection is gone.
  private func write(_ bytes: ByteBuffer) -> Int {
    let sent = bytes.withUnsafeReadableBytes { channel.write($0) }
    if sent < 0 { fail(.lost(session.farewell)) }
    if sent > 0 { lastProgress = .now }
    return max(0, sent)
  }

  private func next() -> Outgoing? {
    if nextRequest < requests.count {
      let packet = requests[nextRequest]
      nextRequest += 1
      if nextRequest == requests.count { (requests, nextRequest) = ([], 0) }
      return packet
    }
    readsNext.toggle()
    let first = readsNext ? reads.nextPiece(maxRead) : writes.nextPiece(maxWrite)
    let piece = first ?? (readsNext ? writes.nextPiece(maxWrite) : reads.nextPiece(maxRead))
    return piece.map(packet)
  }

  private func packet(_ piece: SFTPTransfer.Piece) -> Outgoing {
    let transfer = piece.transfer
    let id = expect(.piece(piece))
    var packet = ByteBufferAllocator().buffer(capacity: 32 + transfer.handle.count)
    let length = 1 + 4 + 4 + transfer.handle.count + 8 + 4 + (transfer.isWrite ? piece.count : 0)
    packet.writeInteger(UInt32(length))
    packet.writeInteger(transfer.isWrite ? SFTPPacket.write : SFTPPacket.read)
    packet.writeInteger(id)
    packet.writeSSHBytes(transfer.handle)
    packet.writeInteger(UInt64(transfer.offset) + UInt64(piece.start))
    packet.writeInteger(UInt32(piece.count))
    return Outgoing(header: packet, payload: transfer.isWrite ? transfer.source(piece) : nil)
  }

  // MARK: Receive

  private static let headerLength = 4 + 1 + 4
  private static let dataHeaderLength = headerLength + 4

  private func receive(_ bytes: UnsafeRawBufferPointer) {
    lastProgress = .now
    var rest = bytes
    while !rest.isEmpty, failure == nil {
      if let target = direct {
        let count = min(target.left, rest.count)
        let part = UnsafeRawBufferPointer(rebasing: rest[..<count])
        target.piece.transfer.receive(part, at: target.piece.start + target.done)
        direct = (target.piece, target.done + count, target.left - count)
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        if target.left == count { finishPiece() }
        continue
      }
      let count = min(missing, rest.count)
      inbox.writeBytes(UnsafeRawBufferPointer(rebasing: rest[..<count]))
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      if missing == 0 { dispatch() }
    }
  }

  /// Bytes that the inbox still needs: of a data packet only the header, of any other all.
  private var missing: Int {
    guard let length = inbox.getInteger(at: 0, as: UInt32.self) else { return 4 - inbox.readableBytes }
    let whole = 4 + Int(length)
    guard whole > Self.dataHeaderLength else { return whole - inbox.readableBytes }
    guard let type = inbox.getInteger(at: 4, as: UInt8.self) else { return 1 }
    return (type == SFTPPacket.data ? Self.dataHeaderLength : whole) - inbox.readableBytes
  }

  private func dispatch() {
    guard let length = inbox.readInteger(as: UInt32.self), length >= 5, length <= SFTPPacket.maxLength,
      let type = inbox.readInteger(as: UInt8.self), let id = inbox.readInteger(as: UInt32.self)
    else { return fail(.lost("it sent a packet that can't be read")) }
    if type == SFTPPacket.version, let waiter = versionWaiter {
      versionWaiter = nil
      waiter(.success(SFTPReply(type: type, body: inbox)))
      inbox = ByteBuffer()
      return
    }
    guard let waiting = expected[id] else { return fail(.lost("it answered what wasn't asked")) }
    switch waiting {
    case .reply(let waiter):
      expected[id] = nil
      waiter(.success(SFTPReply(type: type, body: inbox)))
      inbox = ByteBuffer()
    case .piece(let piece):
      if type == SFTPPacket.data, !piece.transfer.isWrite, let count = inbox.readInteger(as: UInt32.self),
        Int(count) == Int(length) - Self.dataHeaderLength + 4, count > 0, Int(count) <= piece.count
      {
        direct = (piece, 0, Int(count))
        directID = id
        inbox.clear()
      } else if type == SFTPPacket.status, let status = inbox.readInteger(as: UInt32.self) {
        inbox.clear()
        expected[id] = nil
        piece.transfer.answered(piece, status: UInt(status))
        if piece.transfer.isWrite { writes.answered(piece) } else { reads.answered(piece) }
      } else {
        fail(.lost("it answered with a packet that can't be read"))
      }
    }
  }

  private var directID: UInt32 = 0

  private func finishPiece() {
    guard let done = direct else { return }
    direct = nil
    expected[directID] = nil
    done.piece.transfer.received(done.piece, count: done.done)
    reads.answered(done.piece)
  }

  // MARK: End

  /// Every call in progress ends with it.
  func fail(_ failure: Failure) {
    guard self.failure == nil else { return }
    self.failure = failure
    var broken: [ObjectIdentifier: SFTPTransfer] = [:]
    for transfer in writes.transfers + reads.transfers { broken[ObjectIdentifier(transfer)] = transfer }
    for waiting in expected.values {
      switch waiting {
      case .reply(let waiter): waiter(.failure(failure))
      case .piece(let piece): broken[ObjectIdentifier(piece.transfer)] = piece.transfer
      }
    }
    for transfer in broken.values { transfer.fail(failure) }
    versionWaiter?(.failure(failure))
    (expected, requests, nextRequest, current, versionWaiter) = ([:], [], 0, nil, nil)
    (writes, reads) = (SFTPLane(), SFTPLane())
    direct = nil
  }
}

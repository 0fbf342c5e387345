// One range of a file on its way: cut into pieces, several of which are in flight at once. What is in flight, and when,
// is SFTPChannel's decision.
import NIOCore

/// Confined to the thread of the channel that it is given to.
final class SFTPTransfer {
  enum Outcome: Sendable {
    /// What was read; what was written.
    case done(ByteBuffer)
    /// The server answered a piece with this status.
    case refused(UInt, unwritten: Int)
    case broken(SFTPChannel.Failure)
  }

  struct Piece {
    let transfer: SFTPTransfer
    let start: Int
    let count: Int
  }

  let isWrite: Bool
  let handle: [UInt8]
  let offset: Int64
  let count: Int
  /// The source of a write, the target of a read.
  private(set) var bytes: ByteBuffer
  private let whenDone: CheckedContinuation<Outcome, Never>
  /// Everything before it was asked for once.
  private var asked = 0
  private var inFlight = 0
  private var finished = 0
  /// Parts of pieces that came back short.
  private var again: [(start: Int, count: Int)] = []
  private var refusal: UInt?
  /// Where the file turned out to end.
  private var end: Int

  init(writing bytes: ByteBuffer, at offset: Int64, to handle: [UInt8], _ done: CheckedContinuation<Outcome, Never>) {
    (isWrite, self.handle, self.offset, count, self.bytes) = (true, handle, offset, bytes.readableBytes, bytes)
    end = bytes.readableBytes
    whenDone = done
  }

  init(
    reading count: Int, at offset: Int64, from handle: [UInt8], into bytes: ByteBuffer,
    _ done: CheckedContinuation<Outcome, Never>
  ) {
    (isWrite, self.handle, self.offset, self.count) = (false, handle, offset, count)
    self.bytes = bytes
    end = count
    whenDone = done
  }

  /// Nothing more is to be asked for.
  var isAsked: Bool { refusal != nil || (again.isEmpty && asked >= end) }

  func nextPiece(_ most: Int) -> Piece? {
    if refusal != nil { return nil }
    if let short = again.popLast() {
      inFlight += 1
      return Piece(transfer: self, start: short.start, count: short.count)
    }
    guard asked < end else { return nil }
    let piece = Piece(transfer: self, start: asked, count: min(most, end - asked))
    asked += piece.count
    inFlight += 1
    return piece
  }

  /// The bytes to write, of a write.
  func source(_ piece: Piece) -> ByteBuffer {
    bytes.getSlice(at: bytes.readerIndex + piece.start, length: piece.count) ?? ByteBuffer()
  }

  /// Part of what a piece of a read brought.
  func receive(_ source: UnsafeRawBufferPointer, at position: Int) {
    bytes.setBytes(source, at: position)
  }

  func received(_ piece: Piece, count: Int) {
    finished += count
    if count < piece.count { again.append((piece.start + count, piece.count - count)) }
    ended()
  }

  func answered(_ piece: Piece, status: UInt) {
    if isWrite, status == SFTPStatus.ok {
      finished += piece.count
    } else if !isWrite, status == SFTPStatus.endOfFile {
      end = min(end, piece.start)
      again.removeAll { $0.start >= end }
    } else if refusal == nil {
      refusal = status
    }
    ended()
  }

  private func ended() {
    inFlight -= 1
    if inFlight == 0, isAsked { finish() }
  }

  private func finish() {
    if let refusal { return whenDone.resume(returning: .refused(refusal, unwritten: count - finished)) }
    if !isWrite { bytes.moveWriterIndex(to: end) }
    whenDone.resume(returning: .done(bytes))
  }

  func fail(_ failure: SFTPChannel.Failure) { whenDone.resume(returning: .broken(failure)) }
}

/// Transfers of one kind on a connection, in the order they came: the first is done first.
struct SFTPLane {
  var transfers: [SFTPTransfer] = []
  var inFlight = 0

  mutating func nextPiece(_ most: Int) -> SFTPTransfer.Piece? {
    guard inFlight < SFTPChannel.maxInFlight else { return nil }
    while let first = transfers.first {
      let piece = first.nextPiece(most)
      if first.isAsked { transfers.removeFirst() }
      if let piece {
        inFlight += piece.count
        return piece
      }
    }
    return nil
  }

  /// A piece that came back short makes its transfer ask again.
  mutating func answered(_ piece: SFTPTransfer.Piece) {
    inFlight -= piece.count
    let transfer = piece.transfer
    if !transfer.isAsked, !transfers.contains(where: { $0 === transfer }) { transfers.append(transfer) }
  }
}

// What one watcher of a delivery is told: the journal's events after those they know, then the figures as they move.
// Thousands may watch, most of them waiting, so each round is a task of its own: in between a watch holds a few numbers.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

struct DeliveryWatch: Sendable {
  static let eventsAtOnce = 100

  let id: String
  let calls: DeliveryCalls
  let writer: ResponseWriter<DeliveryEvent>

  /// How far it is told.
  private struct Position: Sendable {
    /// Of the last event.
    var sequence: Int64
    /// A hash of the figures that were sent last: the figures themselves would be kilobytes a watcher.
    var figures: Int?
    var isOver = false
  }

  /// Until the delivery has ended and all is told.
  /// - Throws: UNAVAILABLE when the service stops: the watcher comes back with the last sequence they saw.
  func follow(_ signals: AsyncStream<WatchHub.Signal>, after sequence: Int64) async throws(RPCError) {
    var position = Position(sequence: sequence)
    var iterator = signals.makeAsyncIterator()
    repeat {
      let last = position
      position = try await briefly { () async throws(RPCError) in try await round(last) }
      if position.isOver { return }
    } while await iterator.next() != nil
    guard calls.hub.isClosed else { return }
    throw .unavailable("The transfer service stops; the delivery goes on when it is back. Watch it again then.")
  }

  /// Tells what there is to tell now.
  private func round(_ last: Position) async throws(RPCError) -> Position {
    var position = last
    guard let request = try await calls.current(id)?.request else { return over(position) }
    var events = try await calls.archive.events(id, after: position.sequence, limit: Self.eventsAtOnce)
    while !events.isEmpty {
      for event in events {
        var event = event
        event.delivery?.request = request
        try await writer.send(event)
        position.sequence = event.sequence
      }
      events = try await calls.archive.events(id, after: position.sequence, limit: Self.eventsAtOnce)
    }
    guard let delivery = try await calls.current(id) else { return over(position) }
    guard delivery.sequence <= position.sequence else { return position }
    if delivery.status.isEnded { return over(position) }
    let figures = delivery.encodedBytes().hashValue
    if figures != position.figures {
      position.figures = figures
      try await writer.send(progress(delivery, position.sequence))
    }
    return position
  }

  private func over(_ position: Position) -> Position {
    var position = position
    position.isOver = true
    return position
  }

  private func progress(_ delivery: Delivery, _ sequence: Int64) -> DeliveryEvent {
    DeliveryEvent.with {
      ($0.sequence, $0.kind, $0.delivery) = (sequence, .progress, delivery)
      $0.time = Timestamp(milliseconds: SystemTime.now())
      $0.message = "\(ByteText.describe(delivery.bytesDone)) of \(ByteText.describe(delivery.bytesTotal))"
    }
  }
}

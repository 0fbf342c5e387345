// Server-sent events (WHATWG HTML, section 9.2): a service's stream of messages, each as one frame, with a heartbeat,
// from where the reader left off; how many at once is bounded. Readers of the same thing share one stream of the
// service's (SharedWatch).
import FerryAPI
import HTTP2
import Hummingbird
import ProtoWire
import RPC
import ServiceKit
import ServiceLifecycle
import Synchronization

/// One event as it goes over the wire.
struct EventFrame: Sendable, Equatable {
  var id: Int64?
  var event: String
  var data: String

  /// A line that readers ignore: it keeps proxies from closing a quiet connection, and finds out that a reader is gone.
  static let heartbeat = ByteBuffer(string: ": \n\n")
  /// How long a browser waits before it reconnects, milliseconds.
  static let preamble = ByteBuffer(string: "retry: 2000\n\n")

  /// The data may hold line ends of any kind; each line is a field of its own. A name never holds one.
  var text: String {
    var text = ""
    if let id { text += "id: \(id)\n" }
    text += "event: \(event)\n"
    for line in data.split(omittingEmptySubsequences: false, whereSeparator: { ["\n", "\r", "\r\n"].contains($0) }) {
      text += "data: \(line)\n"
    }
    return text + "\n"
  }

  var bytes: ByteBuffer { ByteBuffer(string: text) }
}

/// What an event stream tells of: readers with the same key are told the same.
struct EventSource: Sendable {
  /// Puts the service's events after a sequence into a watch, until they end or nobody reads.
  typealias Feed = @Sendable (SharedWatch, _ after: Int64, EventStreams.Place) async throws(RPCError) -> Void

  let key: String
  let feed: Feed

  /// - Parameter key: names what is told, and whom where that matters: whoever comes with a key has been let in already.
  init(_ key: String, feed: @escaping Feed) { (self.key, self.feed) = (key, feed) }

  init<M: Message>(
    _ key: String,
    open: @escaping @Sendable (_ after: Int64, EventStreams.Place) async throws(RPCError) -> ResponseStream<M>,
    event: @escaping @Sendable (M) -> SharedEvent
  ) {
    self.init(key) { (watch, after, place) async throws(RPCError) in
      let messages = try await briefly { () async throws(RPCError) in try await open(after, place) }
      for try await message in messages {
        guard await watch.put(event(message)) else { return }
      }
    }
  }
}

/// The event streams that are open in this process, and the watches that they read from.
final class EventStreams: Sendable {
  /// Readers at once, and watches.
  static let limit = connections * perConnection
  /// HTTP/2 connections to each service that carries events; one is opened when those before it are full.
  static let connections = 32
  /// As many as a service lets a connection have open.
  static let perConnection = Int(HTTP2Configuration().maxConcurrentStreams)
  static let heartbeatEvery = Duration.seconds(15)

  private struct State {
    var readers = 0
    /// By the source's key. Readers join the first that goes back far enough for them.
    var watches: [String: [SharedWatch]] = [:]
    var heart: Task<Void, Never>?
  }
  private let state = Mutex(State())
  /// The places that are free.
  private let free = Mutex(Array((0..<limit).reversed()))

  /// A watch's place among the streams of the services; it is given back when the last reference goes.
  final class Place: Sendable {
    private let streams: EventStreams
    private let number: Int
    fileprivate init(_ streams: EventStreams, _ number: Int) { (self.streams, self.number) = (streams, number) }
    deinit { streams.free.withLock { $0.append(number) } }

    /// Which of the connections has room for it, from 0.
    var connection: Int { number / perConnection }
  }

  func place() throws(ProblemDetails) -> Place {
    guard let number = free.withLock({ $0.popLast() }) else { throw Self.full }
    return Place(self, number)
  }

  private static let full = {
    var problem = ProblemDetails(
      503, "TOO_MANY_STREAMS", "\(limit) event streams are open, which is as many as this gateway keeps.",
      next: "Close pages that you do not need, or try again in a moment.")
    problem.retryAfter = ProblemDetails.usualRetryAfter
    return problem
  }()

  // MARK: Readers

  /// Counts a reader in.
  func enter() throws(ProblemDetails) {
    let isFull = state.withLock { state in
      if state.readers == Self.limit { return true }
      state.readers += 1
      if state.heart == nil { state.heart = Task { await beat() } }
      return false
    }
    if isFull { throw Self.full }
  }

  func leave() {
    state.withLock { state in
      state.readers -= 1
      guard state.readers == 0 else { return }
      state.heart?.cancel()
      state.heart = nil
    }
  }

  /// A heartbeat for all who wait.
  private func beat() async {
    // Only a cancelled sleep throws, and then nobody reads any more.
    while (try? await Task.sleep(for: Self.heartbeatEvery)) != nil {
      for watch in state.withLock({ $0.watches.values.flatMap { $0 } }) { watch.beat() }
    }
  }

  // MARK: Watches

  /// Streams of the services that are read here.
  var watchCount: Int { state.withLock { $0.watches.values.reduce(0) { $0 + $1.count } } }

  /// A watch of the source that goes back to a sequence, with a seat for the reader; a new one if there is none.
  func join(_ bell: ReaderBell, _ source: EventSource, after sequence: Int64) throws(ProblemDetails) -> SharedWatch {
    if let found = joined(bell, source.key, after: sequence) { return found }
    let place = try place()
    let watch = SharedWatch(after: sequence)
    _ = watch.join(bell, after: sequence)
    state.withLock { $0.watches[source.key, default: []].append(watch) }
    watch.begin { (watch) async throws(RPCError) in try await source.feed(watch, sequence, place) }
    return watch
  }

  private func joined(_ bell: ReaderBell, _ key: String, after sequence: Int64) -> SharedWatch? {
    state.withLock { $0.watches[key]?.first { $0.join(bell, after: sequence) } }
  }

  /// The watch that a reader who has caught up goes on with: the first there is, so that those made for readers who were
  /// behind end. The reader's seat moves.
  func settled(_ bell: ReaderBell, _ key: String, in watch: SharedWatch) -> SharedWatch {
    let moved = state.withLock { state -> SharedWatch? in
      guard let first = state.watches[key]?.first, first !== watch, let sequence = watch.position(of: bell),
        first.join(bell, after: sequence)
      else { return nil }
      return first
    }
    guard let moved else { return watch }
    part(bell, key, from: watch)
    return moved
  }

  /// Gives up a reader's seat; a watch that nobody reads ends.
  func part(_ bell: ReaderBell, _ key: String, from watch: SharedWatch) {
    state.withLock { state in
      guard watch.leave(bell) else { return }
      state.watches[key]?.removeAll { $0 === watch }
      if state.watches[key]?.isEmpty == true { state.watches[key] = nil }
    }
  }

  // MARK: Requests

  /// Where to go on: the header that browsers send when they reconnect, else `after` in the query; nil from the start.
  static func lastEventID(_ call: RestCall) throws(ProblemDetails) -> Int64? {
    if let text = call.request.headers.value("last-event-id"), !text.isEmpty {
      guard let id = Int64(text), id >= 0 else {
        throw RestCall.bad("Last-Event-ID is not a number.", next: "Send the id of the last event that you read.")
      }
      return id
    }
    return call.query("after").isEmpty ? nil : try call.number("after", upTo: Int64.max)
  }

  /// The response that follows a source until it ends, the reader goes, or the gateway shuts down.
  func response(
    _ call: RestCall, _ source: EventSource, after sequence: Int64
  ) throws(ProblemDetails) -> Response {
    let reader = try EventReader(self, source, after: sequence)
    let incoming = call.request.body
    let body = ResponseBody { writer in
      try await writer.write(EventFrame.preamble)
      try await incoming.consumeWithInboundCloseHandler { _ in
        try await withGracefulShutdownHandler {
          while let frame = await reader.next() { try await writer.write(frame) }
        } onGracefulShutdown: {
          reader.finish()
        }
      } onInboundClosed: {
        reader.finish()
      }
      try await writer.finish(nil)
    }
    return Response(
      status: .ok,
      headers: [.contentType: "text/event-stream", .cacheControl: "no-store", .connection: "close"], body: body)
  }
}

/// One reader's way through the watches of a source: frame by frame, as fast as the reader's connection takes them. Read by
/// one task.
final class EventReader: Sendable {
  private let streams: EventStreams
  private let source: EventSource
  private let bell = ReaderBell()
  private let watch: Mutex<SharedWatch>

  init(_ streams: EventStreams, _ source: EventSource, after sequence: Int64) throws(ProblemDetails) {
    (self.streams, self.source) = (streams, source)
    try streams.enter()
    do throws(ProblemDetails) { watch = Mutex(try streams.join(bell, source, after: sequence)) } catch {
      streams.leave()
      throw error
    }
  }

  deinit {
    streams.part(bell, source.key, from: watch.withLock { $0 })
    streams.leave()
  }

  /// Ends it from any thread: the reader has gone, or the gateway stops.
  func finish() { bell.finish() }

  /// The next frame, or a heartbeat where there is none for a while; nil at the end.
  func next() async -> ByteBuffer? {
    while !bell.isFinished {
      let now = watch.withLock { $0 }
      switch now.next(bell) {
      case .frame(let frame): return frame
      case .behind(let sequence):
        do throws(ProblemDetails) {
          let other = try streams.join(bell, source, after: sequence)
          move(to: other, from: now)
        } catch { return last(error) }
      case .ended(let problem):
        guard let problem else { return nil }
        // The reader is told why, and reconnects from its last event.
        return last(problem)
      case .nothing:
        let settled = streams.settled(bell, source.key, in: now)
        if settled !== now {
          watch.withLock { $0 = settled }
        } else if await bell.wait() == .heartbeat {
          return EventFrame.heartbeat
        }
      }
    }
    return nil
  }

  private func move(to other: SharedWatch, from now: SharedWatch) {
    streams.part(bell, source.key, from: now)
    watch.withLock { $0 = other }
  }

  private func last(_ problem: ProblemDetails) -> ByteBuffer {
    bell.finish()
    return EventFrame(event: "problem", data: problem.json).bytes
  }
}

extension RestCall {
  /// Options of a stream: the caller's token, and no deadline: it ends with its readers.
  func streaming() -> CallOptions {
    var options = onward()
    options.deadline = nil
    return options
  }
}

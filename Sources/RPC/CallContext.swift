// What a handler and the interceptors know of a call.
import HTTP2
import NIOCore
import ProtoWire
import Synchronization

/// A key under which an interceptor leaves an object for those behind it, such as the verified caller. Objects, because they
/// are found again without asking the runtime what they are.
public protocol ContextKey { associatedtype Value: AnyObject & Sendable }

public struct CallContext: Sendable {
  @usableFromInline let call: ServerCall
  private typealias Entry = (key: ObjectIdentifier, value: any AnyObject & Sendable)
  /// The first two need no array.
  private var first: Entry?
  private var second: Entry?
  private var others: [Entry] = []

  init(_ call: ServerCall) { self.call = call }

  /// "/fileferry.v1.Ticketing/OpenTickets"
  public var path: String { call.path }
  /// "127.0.0.1:52144"
  public var peer: String { call.connection.peer }
  public var deadline: Deadline? { call.deadline }
  /// When the call's header block had come.
  public var arrived: NIODeadline { call.arrived }
  /// What the client's certificate says of it, on a connection with mutual TLS.
  public var peerCertificate: PeerCertificate? { call.connection.peerCertificate }

  /// The caller's metadata, without HTTP/2's and gRPC's own fields.
  public var metadata: Metadata { StatusWire.metadata(call.headers) }

  /// One value of the metadata, without making all of it.
  public func header(_ name: StaticString) -> String? { call.headers[name] }

  public func hasHeader(_ name: StaticString) -> Bool { withHeader(name) { _ in true } ?? false }

  /// The same without making a String; the bytes are valid during the call of `body` only.
  @inlinable
  public func withHeader<R>(_ name: StaticString, _ body: (UnsafeRawBufferPointer) -> R) -> R? {
    call.headers.withValue(name, body)
  }

  public subscript<K: ContextKey>(_ key: K.Type) -> K.Value? {
    get {
      let wanted = ObjectIdentifier(key)
      // What stands under a key was put there by the setter below, so it is of the key's type.
      if let first, first.key == wanted { return unsafeDowncast(first.value, to: K.Value.self) }
      if let second, second.key == wanted { return unsafeDowncast(second.value, to: K.Value.self) }
      for entry in others where entry.key == wanted { return unsafeDowncast(entry.value, to: K.Value.self) }
      return nil
    }
    set {
      let wanted = ObjectIdentifier(key)
      if first?.key == wanted { first = nil }
      if second?.key == wanted { second = nil }
      if !others.isEmpty { others.removeAll { $0.key == wanted } }
      guard let newValue else { return }
      if first == nil {
        first = (wanted, newValue)
      } else if second == nil {
        second = (wanted, newValue)
      } else {
        others.append((wanted, newValue))
      }
    }
  }

  /// What an interceptor keeps for each method, found without looking its path up: made by `make` at a method's first call.
  /// - Parameter owner: whose state it is. One owner keeps one type of state.
  public func methodState<State: AnyObject & Sendable>(of owner: any AnyObject & Sendable, _ make: () -> State) -> State {
    call.method?.state(of: owner, make) ?? make()
  }

  /// Adds metadata to the response's header block; has no effect once the first message has left.
  public func setInitialMetadata(_ key: String, _ value: String) {
    call.response.change {
      $0.initial.set(key, value)
    }
  }

  /// Adds metadata to the trailers, which go with the status.
  public func setTrailer(_ key: String, _ value: String) {
    call.response.change {
      $0.trailing.set(key, value)
    }
  }

  /// What the call has ended with, where that was not its handler's doing: a deadline, a limit.
  public var endedWith: StatusCode? { call.response.ifSet?.endedWith }

  /// Whether the caller's message came compressed; of streams see `RequestStream.AsyncIterator`.
  public var requestIsCompressed: Bool { call.requestIsCompressed }

  /// Compresses the responses, if the caller takes this algorithm. Has no effect once the first message has left.
  public func setResponseCompression(_ algorithm: CompressionAlgorithm) {
    call.response.change {
      $0.compression = algorithm
    }
  }

  /// Sends single messages plain although an algorithm was set; holds until it is set again.
  public func setCompressesResponse(_ compresses: Bool) {
    call.response.change { $0.compresses = compresses }
  }
}

/// The metadata and the form that a handler gives its response.
struct ResponseSettings {
  var initial = Metadata()
  var trailing = Metadata()
  var compression = CompressionAlgorithm.identity
  var compresses = true
  /// The status that ended the call before its handler had.
  var endedWith: StatusCode?
}

/// The settings of a call's response, for any thread. Most responses have none, and then nothing is locked to see that.
struct SharedResponseSettings: ~Copyable {
  private let isSet = Atomic<Bool>(false)
  private let settings = Mutex<ResponseSettings?>(nil)

  func change(_ body: (inout ResponseSettings) -> Void) {
    settings.withLock { settings in
      var changed = settings ?? ResponseSettings()
      body(&changed)
      settings = changed
    }
    isSet.store(true, ordering: .releasing)
  }

  var ifSet: ResponseSettings? { isSet.load(ordering: .acquiring) ? settings.withLock { $0 } : nil }
}

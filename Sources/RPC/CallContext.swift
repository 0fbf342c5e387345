// What a handler and the interceptors know of a call.
import HTTP2
import ProtoWire
import Synchronization

/// A key under which an interceptor leaves a value for those behind it, such as the verified caller.
public protocol ContextKey { associatedtype Value: Sendable }

public struct CallContext: Sendable {
  /// "/fileferry.v1.Ticketing/OpenTickets"
  public let path: String
  /// "127.0.0.1:52144"
  public let peer: String
  public let deadline: Deadline?
  let headers: HTTP2Headers
  let response: ResponseMetadata
  private var values: [ObjectIdentifier: any Sendable] = [:]

  init(path: String, peer: String, deadline: Deadline?, headers: HTTP2Headers) {
    self.path = path
    self.peer = peer
    self.deadline = deadline
    self.headers = headers
    response = ResponseMetadata()
  }

  /// The caller's metadata, without HTTP/2's and gRPC's own fields.
  public var metadata: Metadata { StatusWire.metadata(headers) }

  /// One value of the metadata, without making all of it.
  public func header(_ name: StaticString) -> String? { headers[name] }

  public subscript<K: ContextKey>(_ key: K.Type) -> K.Value? {
    get { values[ObjectIdentifier(key)] as? K.Value }
    set { values[ObjectIdentifier(key)] = newValue }
  }

  /// Adds metadata to the response's header block; has no effect once the first message has left.
  public func setInitialMetadata(_ key: String, _ value: String) {
    response.state.withLock { $0.initial.set(key, value) }
  }

  /// Adds metadata to the trailers, which go with the status.
  public func setTrailer(_ key: String, _ value: String) {
    response.state.withLock { $0.trailing.set(key, value) }
  }
}

/// The metadata that a handler gives its response; shared by the copies of a context.
final class ResponseMetadata: Sendable {
  struct State {
    var initial = Metadata()
    var trailing = Metadata()
  }
  let state = Mutex(State())
}

/// Wraps a call on the server: it may refuse it by throwing, add to the context, and see how it ended. Runs on the
/// connection's event loop, so it must not block.
public typealias ServerInterceptor =
  @Sendable (CallContext, _ next: @Sendable (CallContext) async throws(RPCError) -> Void) async throws(RPCError) -> Void

/// Changes a call's options before it leaves the client, or refuses it by throwing.
public typealias ClientInterceptor =
  @Sendable (_ path: String, _ options: inout CallOptions) async throws(RPCError) -> Void

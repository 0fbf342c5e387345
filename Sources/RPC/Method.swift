// The four kinds of call, each a value that names its path and its two messages. Servers register handlers under them,
// clients call them; both then agree by type.
import ProtoWire

/// What every kind of method has.
public protocol Method<Request, Response>: Sendable {
  associatedtype Request: Message
  associatedtype Response: Message
  /// "fileferry.v1.Ticketing"
  var service: String { get }
  /// "OpenTickets"
  var name: String { get }
  var descriptor: MethodDescriptor { get }
}

extension Method {
  /// "/fileferry.v1.Ticketing/OpenTickets", the HTTP/2 path.
  public var path: String { "/" + service + "/" + name }
}

/// One request, one response.
public struct UnaryMethod<Request: Message, Response: Message>: Method {
  public let service: String
  public let name: String
  public init(_ service: String, _ name: String) {
    self.service = service
    self.name = name
  }
  public var descriptor: MethodDescriptor { MethodDescriptor(name, request: Request.self, response: Response.self) }
}

/// One request, a stream of responses.
public struct ServerStreamingMethod<Request: Message, Response: Message>: Method {
  public let service: String
  public let name: String
  public init(_ service: String, _ name: String) {
    self.service = service
    self.name = name
  }
  public var descriptor: MethodDescriptor {
    MethodDescriptor(name, request: Request.self, response: Response.self, serverStreaming: true)
  }
}

/// A stream of requests, one response.
public struct ClientStreamingMethod<Request: Message, Response: Message>: Method {
  public let service: String
  public let name: String
  public init(_ service: String, _ name: String) {
    self.service = service
    self.name = name
  }
  public var descriptor: MethodDescriptor {
    MethodDescriptor(name, request: Request.self, response: Response.self, clientStreaming: true)
  }
}

/// Streams both ways, each at its own pace.
public struct BidirectionalMethod<Request: Message, Response: Message>: Method {
  public let service: String
  public let name: String
  public init(_ service: String, _ name: String) {
    self.service = service
    self.name = name
  }
  public var descriptor: MethodDescriptor {
    MethodDescriptor(
      name, request: Request.self, response: Response.self, clientStreaming: true, serverStreaming: true)
  }
}

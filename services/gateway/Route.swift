// One method on one path below /api/v1, and what the OpenAPI document says of it: no route can be added without.
import FerryAPI
import Hummingbird
import ProtoWire

struct Route: Sendable {
  typealias Handler = @Sendable (RestCall) async throws -> Response

  let method: HTTPRequest.Method
  let path: String
  let spec: RouteSpec
  /// False only where a session begins, is renewed or ends: those check for themselves.
  var checksChange = true
  let answer: Handler

  /// - Parameters:
  ///   - name: of the operation, for programs that are made from the document: "listDeliveries".
  ///   - summary: one sentence.
  static func get(
    _ path: String, _ name: String, _ summary: String, _ parameters: [RouteParameter] = [], returns: RouteAnswer,
    isOpen: Bool = false, _ answer: @escaping Handler
  ) -> Route {
    let spec = RouteSpec(name: name, summary: summary, parameters: parameters, answer: returns, isOpen: isOpen)
    return Route(method: .get, path: path, spec: spec, answer: answer)
  }

  static func put(
    _ path: String, _ name: String, _ summary: String, takes: any Message.Type, returns: RouteAnswer,
    _ answer: @escaping Handler
  ) -> Route {
    let spec = RouteSpec(name: name, summary: summary, body: takes, answer: returns)
    return Route(method: .put, path: path, spec: spec, answer: answer)
  }

  /// For a body whose absent fields stay as they are (RFC 5789).
  static func patch(
    _ path: String, _ name: String, _ summary: String, takes: any Message.Type, returns: RouteAnswer,
    _ answer: @escaping Handler
  ) -> Route {
    let spec = RouteSpec(name: name, summary: summary, body: takes, answer: returns)
    return Route(method: .patch, path: path, spec: spec, answer: answer)
  }

  static func post(
    _ path: String, _ name: String, _ summary: String, _ parameters: [RouteParameter] = [], takes: any Message.Type,
    returns: RouteAnswer, isOpen: Bool = false, checksChange: Bool = true, _ answer: @escaping Handler
  ) -> Route {
    let spec = RouteSpec(
      name: name, summary: summary, parameters: parameters, body: takes, answer: returns, isOpen: isOpen)
    return Route(method: .post, path: path, spec: spec, checksChange: checksChange, answer: answer)
  }

  static func delete(
    _ path: String, _ name: String, _ summary: String, takes: (any Message.Type)? = nil, checksChange: Bool = true,
    _ answer: @escaping Handler
  ) -> Route {
    let spec = RouteSpec(name: name, summary: summary, body: takes, answer: .nothing)
    return Route(method: .delete, path: path, spec: spec, checksChange: checksChange, answer: answer)
  }
}

struct RouteSpec: Sendable {
  var name: String
  var summary: String
  /// Those of the path are read off it.
  var parameters: [RouteParameter] = []
  var body: (any Message.Type)?
  var answer: RouteAnswer
  /// It takes no sign-in.
  var isOpen = false
}

/// What a route answers when it succeeds.
enum RouteAnswer: Sendable {
  /// 200, or another status, with a message in proto3 JSON.
  case message(any Message.Type, status: Int = 200)
  /// 204.
  case nothing
  /// 200 with a text of another kind.
  case text(mediaType: String)
  /// 200 with server-sent events; 204 where all has been told already.
  case events
}

struct RouteParameter: Sendable {
  enum Kind: Sendable {
    case text
    case flag
    case number(upTo: Int64)
    /// RFC 3339.
    case timestamp
    case choice(EnumDescriptor)
  }

  var name: String
  var summary: String
  var kind = Kind.text
  /// A header's; else a query's.
  var isHeader = false

  static let page = [
    RouteParameter(
      name: "pageSize", summary: "Entries on a page, at most; 0 for the usual number.",
      kind: .number(upTo: Int64(RestBounds.pageSize))),
    RouteParameter(name: "pageToken", summary: "Where the page before it ended: its nextPageToken."),
  ]

  static func choice<E: ProtoEnum>(_ name: String, _: E.Type, _ summary: String) -> RouteParameter {
    RouteParameter(name: name, summary: summary, kind: .choice(E.descriptor))
  }

  static let ifNoneMatch = RouteParameter(
    name: "If-None-Match", summary: "ETags of answers that are known already: one of them again is answered with 304.",
    isHeader: true)

  static let lastEventID = RouteParameter(
    name: "Last-Event-ID", summary: "The id of the last event that was seen; those after it follow.",
    kind: .number(upTo: .max), isHeader: true)
}

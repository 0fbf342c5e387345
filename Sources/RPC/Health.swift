// gRPC's health checking, version 1: Check, List and Watch (grpc/grpc doc/health-checking.md, grpc/health/v1/health.proto).
import NIOCore
import ProtoWire
import Synchronization

public struct ServingStatus: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unknown = ServingStatus(rawValue: 0)
  public static let serving = ServingStatus(rawValue: 1)
  public static let notServing = ServingStatus(rawValue: 2)
  public static let serviceUnknown = ServingStatus(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "grpc.health.v1.HealthCheckResponse.ServingStatus",
    [("UNKNOWN", 0), ("SERVING", 1), ("NOT_SERVING", 2), ("SERVICE_UNKNOWN", 3)])
}

public struct HealthCheckRequest: Message {
  public var service = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "grpc.health.v1.HealthCheckRequest", [FieldDescriptor(1, "service", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: service = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, service) }
}

public struct HealthCheckResponse: Message {
  public var status = ServingStatus.unknown
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "grpc.health.v1.HealthCheckResponse", [FieldDescriptor(1, "status", .enumeration(ServingStatus.self))],
    nestedEnums: [ServingStatus.descriptor])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: status = try reader.enumeration()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.enumeration(1, status) }
}

public struct HealthListRequest: Message {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("grpc.health.v1.HealthListRequest", [])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) { try reader.skip() }
  public func encode(to writer: inout WireWriter) {}
}

public struct HealthListResponse: Message {
  /// By service.
  public var statuses: [String: HealthCheckResponse] = [:]
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "grpc.health.v1.HealthListResponse",
    [FieldDescriptor(1, "statuses", .message(StatusesEntry.self), .repeated)],
    nestedMessages: [StatusesEntry.descriptor])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1:
      let entry: StatusesEntry = try reader.message()
      statuses[entry.key] = entry.value ?? HealthCheckResponse()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    let entries = statuses.sorted { $0.key < $1.key }.map { pair in
      StatusesEntry.with {
        $0.key = pair.key
        $0.value = pair.value
      }
    }
    writer.messages(1, entries)
  }

  /// An entry of the map field.
  struct StatusesEntry: Message {
    var key = ""
    var value: HealthCheckResponse?
    var unknownFields = UnknownFields()

    static let descriptor = MessageDescriptor(
      "grpc.health.v1.HealthListResponse.StatusesEntry",
      [FieldDescriptor(1, "key", .string), FieldDescriptor(2, "value", .message(HealthCheckResponse.self))],
      isMapEntry: true)

    mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
      switch field {
      case 1: key = try reader.string()
      case 2: try reader.message(into: &value)
      default: try reader.skip()
      }
    }

    func encode(to writer: inout WireWriter) {
      writer.string(1, key)
      writer.message(2, value)
    }
  }
}

/// The service itself, for clients and reflection.
public enum Health {
  static let name = "grpc.health.v1.Health"
  /// health.proto: a server may refuse to list more than it finds reasonable, and names 100.
  static let maxListed = 100
  public static let check = UnaryMethod<HealthCheckRequest, HealthCheckResponse>(name, "Check")
  public static let list = UnaryMethod<HealthListRequest, HealthListResponse>(name, "List")
  public static let watch = ServerStreamingMethod<HealthCheckRequest, HealthCheckResponse>(name, "Watch")

  static let file = FileDescriptor(
    "grpc/health/v1/health.proto", package: "grpc.health.v1",
    messages: [
      HealthCheckRequest.descriptor, HealthCheckResponse.descriptor, HealthListRequest.descriptor,
      HealthListResponse.descriptor,
    ],
    services: [ServiceDescriptor(name, [check.descriptor, list.descriptor, watch.descriptor])])

  static func register(_ status: HealthStatus, in router: inout Router) {
    router.handle(check) { (request: HealthCheckRequest, _: CallContext) async throws(RPCError) -> HealthCheckResponse in
      guard let found = status[request.service] else {
        throw RPCError(.notFound, "no service \(request.service) is known here")
      }
      return .with { $0.status = found }
    }
    router.handle(list) { (_: HealthListRequest, _: CallContext) async throws(RPCError) -> HealthListResponse in
      let statuses = status.all
      guard statuses.count <= maxListed else {
        throw RPCError(.resourceExhausted, "there are \(statuses.count) services, more than List gives; use Check")
      }
      return .with { $0.statuses = statuses.mapValues { status in .with { $0.status = status } } }
    }
    router.handle(watch) {
      (request: HealthCheckRequest, _: CallContext, responses: ResponseWriter<HealthCheckResponse>) async throws(RPCError) in
      var last: ServingStatus?
      for await _ in status.changes() {
        let now = status[request.service] ?? .serviceUnknown
        if now != last { try await responses.send(.with { $0.status = now }) }
        last = now
      }
    }
  }
}

/// The statuses of a server's services. The empty name stands for the server as a whole.
public final class HealthStatus: Sendable {
  private struct State {
    var statuses: [String: ServingStatus] = ["": .serving]
    var watchers: [Int: AsyncStream<Void>.Continuation] = [:]
    var nextWatcher = 0
    var isShutDown = false
  }
  private let state = Mutex(State())

  public subscript(_ service: String) -> ServingStatus? { state.withLock { $0.statuses[service] } }

  var all: [String: ServingStatus] { state.withLock { $0.statuses } }

  public func set(_ service: String, _ status: ServingStatus) {
    let watchers = state.withLock { state in
      state.statuses[service] = status
      return Array(state.watchers.values)
    }
    for watcher in watchers { watcher.yield() }
  }

  func shutdown() {
    let watchers = state.withLock { state in
      state.isShutDown = true
      for service in state.statuses.keys { state.statuses[service] = .notServing }
      defer { state.watchers = [:] }
      return Array(state.watchers.values)
    }
    for watcher in watchers {
      watcher.yield()
      watcher.finish()
    }
  }

  /// One element now and one after each change; changes in quick succession may come as one.
  func changes() -> AsyncStream<Void> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      let (id, isShutDown) = state.withLock { state in
        state.nextWatcher += 1
        if !state.isShutDown { state.watchers[state.nextWatcher] = continuation }
        return (state.nextWatcher, state.isShutDown)
      }
      continuation.onTermination = { [weak self] _ in self?.removeWatcher(id) }
      continuation.yield()
      if isShutDown { continuation.finish() }
    }
  }

  private func removeWatcher(_ id: Int) {
    state.withLock { _ = $0.watchers.removeValue(forKey: id) }
  }
}

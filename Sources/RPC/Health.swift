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

/// The service itself, for clients and reflection.
public enum Health {
  static let name = "grpc.health.v1.Health"
  public static let check = UnaryMethod<HealthCheckRequest, HealthCheckResponse>(name, "Check")
  public static let watch = ServerStreamingMethod<HealthCheckRequest, HealthCheckResponse>(name, "Watch")

  static let file = FileDescriptor(
    "grpc/health/v1/health.proto", package: "grpc.health.v1",
    messages: [HealthCheckRequest.descriptor, HealthCheckResponse.descriptor],
    services: [ServiceDescriptor(name, [check.descriptor, watch.descriptor])])

  static func register(_ status: HealthStatus, in router: inout Router) {
    router.handle(check) { (request: HealthCheckRequest, _: CallContext) async throws(RPCError) -> HealthCheckResponse in
      guard let found = status[request.service] else {
        throw RPCError(.notFound, "no service \(request.service) is known here")
      }
      return .with { $0.status = found }
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
  }
  private let state = Mutex(State())

  public subscript(_ service: String) -> ServingStatus? { state.withLock { $0.statuses[service] } }

  public func set(_ service: String, _ status: ServingStatus) {
    let watchers = state.withLock { state in
      state.statuses[service] = status
      return Array(state.watchers.values)
    }
    for watcher in watchers { watcher.yield() }
  }

  func shutdown() {
    let watchers = state.withLock { state in
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
      let id = state.withLock { state in
        state.nextWatcher += 1
        state.watchers[state.nextWatcher] = continuation
        return state.nextWatcher
      }
      continuation.onTermination = { [weak self] _ in self?.removeWatcher(id) }
      continuation.yield()
    }
  }

  private func removeWatcher(_ id: Int) {
    state.withLock { _ = $0.watchers.removeValue(forKey: id) }
  }
}

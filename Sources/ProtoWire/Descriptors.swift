// What a .proto file declares, as values: reflection serves them and the JSON mapping walks them. Each message states
// its own; tests hold every one against protoc's.

public struct MessageDescriptor: Sendable {
  /// "fileferry.v1.Ticket"
  public let fullName: String
  public let fields: [FieldDescriptor]
  /// Enumerations declared inside this message.
  public let nestedEnums: [EnumDescriptor]
  /// Messages declared inside this message, the entries of its map fields among them.
  public let nestedMessages: [MessageDescriptor]
  /// The entry of a map field: a key and a value ("Maps", protobuf.dev).
  public let isMapEntry: Bool

  public init(
    _ fullName: String, _ fields: [FieldDescriptor], nestedEnums: [EnumDescriptor] = [],
    nestedMessages: [MessageDescriptor] = [], isMapEntry: Bool = false
  ) {
    self.fullName = fullName
    self.fields = fields
    self.nestedEnums = nestedEnums
    self.nestedMessages = nestedMessages
    self.isMapEntry = isMapEntry
  }

  /// "Ticket"
  public var name: String { String(fullName.split(separator: ".").last ?? "") }
}

public struct FieldDescriptor: Sendable {
  public enum Kind: Sendable {
    case double, float, int64, uint64, int32, fixed64, fixed32, bool, string, bytes, uint32
    case sfixed32, sfixed64, sint32, sint64
    case message(any Message.Type)
    case enumeration(any ProtoEnum.Type)
  }
  public enum Cardinality: Sendable { case single, optional, repeated }

  public let number: Int
  /// As in the .proto file: lower snake case.
  public let name: String
  public let kind: Kind
  public let cardinality: Cardinality

  public init(_ number: Int, _ name: String, _ kind: Kind, _ cardinality: Cardinality = .single) {
    self.number = number
    self.name = name
    self.kind = kind
    self.cardinality = cardinality
  }

  /// The field's name in proto3 JSON: lower camel case ("JSON Mapping", protobuf.dev).
  public var jsonName: String {
    var result = ""
    var raiseNext = false
    for character in name {
      if character == "_" {
        raiseNext = true
      } else {
        result.append(raiseNext ? Character(character.uppercased()) : character)
        raiseNext = false
      }
    }
    return result
  }
}

public struct EnumDescriptor: Sendable {
  public let fullName: String
  public let values: [(name: String, number: Int32)]

  public init(_ fullName: String, _ values: [(name: String, number: Int32)]) {
    self.fullName = fullName
    self.values = values
  }

  public var name: String { String(fullName.split(separator: ".").last ?? "") }
  public func name(of number: Int32) -> String? { values.first { $0.number == number }?.name }
  public func number(of name: String) -> Int32? { values.first { $0.name == name }?.number }
}

public struct MethodDescriptor: Sendable {
  public let name: String
  public let request: any Message.Type
  public let response: any Message.Type
  public let clientStreaming: Bool
  public let serverStreaming: Bool

  public init(
    _ name: String, request: any Message.Type, response: any Message.Type, clientStreaming: Bool = false,
    serverStreaming: Bool = false
  ) {
    self.name = name
    self.request = request
    self.response = response
    self.clientStreaming = clientStreaming
    self.serverStreaming = serverStreaming
  }
}

public struct ServiceDescriptor: Sendable {
  /// "fileferry.v1.Ticketing"
  public let fullName: String
  public let methods: [MethodDescriptor]

  public init(_ fullName: String, _ methods: [MethodDescriptor]) {
    self.fullName = fullName
    self.methods = methods
  }

  public var name: String { String(fullName.split(separator: ".").last ?? "") }
}

public struct FileDescriptor: Sendable {
  /// "fileferry/v1/ticketing.proto", as other files import it.
  public let name: String
  public let package: String
  public let dependencies: [FileDescriptor]
  public let messages: [MessageDescriptor]
  public let enums: [EnumDescriptor]
  public let services: [ServiceDescriptor]

  public init(
    _ name: String, package: String, dependencies: [FileDescriptor] = [], messages: [MessageDescriptor] = [],
    enums: [EnumDescriptor] = [], services: [ServiceDescriptor] = []
  ) {
    self.name = name
    self.package = package
    self.dependencies = dependencies
    self.messages = messages
    self.enums = enums
    self.services = services
  }
}

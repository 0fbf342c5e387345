// The OpenAPI 3.1 document of the REST API, made from the table of routes and the descriptors of the messages, so that it
// says what the gateway does.
import FerryAPI
import FoundationEssentials
import Hummingbird
import ProtoWire

struct OpenAPIDocument {
  private var schemas: [String: OpenAPIValue] = [:]
  private var paths: [String: [String: OpenAPIValue]] = [:]

  private static let problem = "ProblemDetails"
  private static let title = "FileFerry"
  private static let version = "1"

  init(_ routes: [Route]) {
    schemas[Self.problem] = Self.problemSchema
    for route in routes {
      paths["/" + route.path, default: [:]][route.method.rawValue.lowercased()] = operation(route)
    }
  }

  /// JSON, keys sorted.
  var json: [UInt8] {
    let document: OpenAPIValue = [
      "openapi": "3.1.0",
      "info": [
        "title": .text(Self.title), "version": .text(Self.version),
        "description": "Delivers files from cloud storage to customers' servers, and proves that every byte arrived.",
      ],
      "servers": [["url": .text(RestAPI.prefix)]],
      "paths": .object(paths.mapValues(OpenAPIValue.object)),
      "components": [
        "schemas": .object(schemas),
        "responses": [
          "Problem": [
            "description": "What failed, why, and what to do next (RFC 9457).",
            "content": ["application/problem+json": ["schema": Self.reference(Self.problem)]],
            "headers": [
              "Retry-After": [
                "description": "Seconds after which the same may work, where it may.", "schema": ["type": "integer"],
              ]
            ],
          ]
        ],
        "securitySchemes": [
          "bearer": ["type": "http", "scheme": "bearer", "bearerFormat": "JWT"],
          "cookie": ["type": "apiKey", "in": "cookie", "name": .text(BrowserSession.CookieKind.access.rawValue)],
        ],
      ],
      "security": [["bearer": []], ["cookie": []]],
    ]
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Texts, numbers and flags can't fail to encode.
    return (try? encoder.encode(document)).map(Array.init) ?? []
  }

  // MARK: Operations

  private mutating func operation(_ route: Route) -> OpenAPIValue {
    let spec = route.spec
    var operation: [String: OpenAPIValue] = [
      "operationId": .text(spec.name), "summary": .text(spec.summary),
      "tags": [.text(String(route.path.prefix { $0 != "/" && $0 != ":" }))],
      "responses": .object(responses(spec.answer, method: route.method)),
    ]
    var parameters = Self.pathParameters(route.path) + spec.parameters.map(Self.parameter)
    if route.method == .get, case .message = spec.answer { parameters.append(Self.parameter(.ifNoneMatch)) }
    if !parameters.isEmpty { operation["parameters"] = .list(parameters) }
    if let body = spec.body {
      operation["requestBody"] = ["content": ["application/json": ["schema": schema(of: body)]]]
    }
    if spec.isOpen { operation["security"] = [] }
    return .object(operation)
  }

  private mutating func responses(
    _ answer: RouteAnswer, method: HTTPRequest.Method
  ) -> [String: OpenAPIValue] {
    let nothing: OpenAPIValue = ["description": "Done; there is nothing to add."]
    var responses: [String: OpenAPIValue] = ["default": ["$ref": "#/components/responses/Problem"]]
    switch answer {
    case .message(let type, let status):
      var response: [String: OpenAPIValue] = [
        "description": .text(type.descriptor.name), "content": ["application/json": ["schema": schema(of: type)]],
      ]
      if status == 201 {
        response["headers"] = ["Location": ["description": "Its address.", "schema": ["type": "string"]]]
      }
      if method == .get {
        response["headers"] = ["ETag": ["description": "Of this very answer.", "schema": ["type": "string"]]]
        responses["304"] = ["description": "It is as it was."]
      }
      responses["\(status)"] = .object(response)
    case .nothing: responses["204"] = nothing
    case .text(let mediaType):
      responses["200"] = ["description": "The text.", "content": [mediaType: ["schema": [:]]]]
    case .events:
      responses["200"] = [
        "description": "Server-sent events (WHATWG HTML, 9.2), until there is nothing more to tell.",
        "content": ["text/event-stream": ["schema": ["type": "string"]]],
      ]
      responses["204"] = nothing
    }
    return responses
  }

  /// In characters, as JSON Schema counts: so many fit whatever their bytes are.
  private static let maxLength = Int64(RestBounds.valueBytes / 4)

  private static func pathParameters(_ path: String) -> [OpenAPIValue] {
    path.split(separator: "/").filter { $0.hasPrefix("{") }.map { segment in
      [
        "name": .text(String(segment.dropFirst().dropLast())), "in": "path", "required": true,
        "schema": ["type": "string", "minLength": 1, "maxLength": .number(maxLength)],
      ]
    }
  }

  private static func parameter(_ parameter: RouteParameter) -> OpenAPIValue {
    let schema: OpenAPIValue =
      switch parameter.kind {
      case .text: ["type": "string", "maxLength": .number(maxLength)]
      case .flag: ["type": "boolean"]
      case .timestamp: ["type": "string", "format": "date-time"]
      case .number(let limit): ["type": "integer", "minimum": 0, "maximum": .number(limit)]
      case .choice(let descriptor): ["type": "string", "enum": .list(descriptor.values.map { .text($0.name) })]
      }
    return [
      "name": .text(parameter.name), "in": parameter.isHeader ? "header" : "query",
      "description": .text(parameter.summary), "schema": schema,
    ]
  }

  // MARK: Schemas: "JSON Mapping", protobuf.dev

  private static func reference(_ name: String) -> OpenAPIValue { ["$ref": .text("#/components/schemas/\(name)")] }

  private mutating func schema(of type: any Message.Type) -> OpenAPIValue {
    let descriptor = type.descriptor
    if descriptor.fullName == Timestamp.descriptor.fullName { return ["type": "string", "format": "date-time"] }
    let name = descriptor.name
    if schemas[name] == nil {
      schemas[name] = [:]  // so that a message may hold one of its own kind
      var properties: [String: OpenAPIValue] = [:]
      for field in descriptor.fields { properties[field.jsonName] = schema(of: field) }
      schemas[name] = ["type": "object", "properties": .object(properties), "additionalProperties": false]
    }
    return Self.reference(name)
  }

  private mutating func schema(of field: FieldDescriptor) -> OpenAPIValue {
    if case .message(let type) = field.kind, type.descriptor.isMapEntry,
      let value = type.descriptor.fields.first(where: { $0.name == "value" }) {
      return ["type": "object", "additionalProperties": schema(of: value)]
    }
    let single: OpenAPIValue =
      switch field.kind {
      case .message(let type): schema(of: type)
      case .enumeration(let type): schema(of: type.descriptor)
      case .string: ["type": "string"]
      case .bytes: ["type": "string", "contentEncoding": "base64"]
      case .bool: ["type": "boolean"]
      case .int64, .sint64, .sfixed64: ["type": "string", "pattern": "^-?[0-9]{1,19}$"]
      case .uint64, .fixed64: ["type": "string", "pattern": "^[0-9]{1,20}$"]
      case .int32, .sint32, .sfixed32: ["type": "integer", "format": "int32"]
      case .uint32, .fixed32: ["type": "integer", "minimum": 0, "format": "uint32"]
      case .double, .float: ["type": "number"]
      }
    return field.cardinality == .repeated ? ["type": "array", "items": single] : single
  }

  private mutating func schema(of descriptor: EnumDescriptor) -> OpenAPIValue {
    schemas[descriptor.name] = ["type": "string", "enum": .list(descriptor.values.map { .text($0.name) })]
    return Self.reference(descriptor.name)
  }

  private static let problemSchema: OpenAPIValue = [
    "type": "object", "required": ["type", "title", "status", "detail", "code"],
    "properties": [
      "type": ["type": "string"], "title": ["type": "string"], "status": ["type": "integer"],
      "detail": ["type": "string"], "code": ["type": "string"], "nextStep": ["type": "string"],
      "provider": ["type": "string"], "providerCode": ["type": "string"], "requestId": ["type": "string"],
      "subject": ["type": "string"], "retryable": ["type": "boolean"],
    ],
  ]
}

/// A value of the document.
enum OpenAPIValue: Encodable {
  case text(String)
  case number(Int64)
  case flag(Bool)
  case list([OpenAPIValue])
  case object([String: OpenAPIValue])

  private struct Name: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.init(stringValue) }
    init?(intValue: Int) { nil }
  }

  func encode(to encoder: any Encoder) throws {
    switch self {
    case .text(let text):
      var container = encoder.singleValueContainer()
      try container.encode(text)
    case .number(let number):
      var container = encoder.singleValueContainer()
      try container.encode(number)
    case .flag(let flag):
      var container = encoder.singleValueContainer()
      try container.encode(flag)
    case .list(let values):
      var container = encoder.unkeyedContainer()
      for value in values { try container.encode(value) }
    case .object(let values):
      var container = encoder.container(keyedBy: Name.self)
      for (name, value) in values { try container.encode(value, forKey: Name(name)) }
    }
  }
}

extension OpenAPIValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  init(stringLiteral text: String) { self = .text(text) }
  init(integerLiteral number: Int64) { self = .number(number) }
  init(booleanLiteral flag: Bool) { self = .flag(flag) }
  init(arrayLiteral values: OpenAPIValue...) { self = .list(values) }
  init(dictionaryLiteral pairs: (String, OpenAPIValue)...) {
    self = .object(Dictionary(pairs) { first, _ in first })
  }
}

// assist.proto: words and advice. Every fact in an answer comes from the request; a text generator only phrases it.
import ProtoWire
import RPC

public enum Assist {
  static let name = "fileferry.v1.Assist"

  public static let describeTicket = UnaryMethod<DescribeTicketRequest, TicketText>(name, "DescribeTicket")
  public static let analyseFiles = UnaryMethod<AnalyseFilesRequest, FileAnalysis>(name, "AnalyseFiles")
  public static let recommend = UnaryMethod<RecommendRequest, Recommendations>(name, "Recommend")
  public static let composeCompletion = UnaryMethod<ComposeCompletionRequest, CompletionMessage>(
    name, "ComposeCompletion")
  /// Answers a question about a delivery, piece by piece as it is written.
  public static let chat = ServerStreamingMethod<ChatRequest, ChatAnswer>(name, "Chat")

  public static let service = ServiceDescriptor(
    name,
    [
      describeTicket.descriptor, analyseFiles.descriptor, recommend.descriptor, composeCompletion.descriptor,
      chat.descriptor,
    ])
}

public struct DescribeTicketRequest: Message {
  public var request: DeliveryRequest?
  public var requester: Person?
  public var deliveryID = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DescribeTicketRequest",
    [
      .init(1, "request", .message(DeliveryRequest.self)), .init(2, "requester", .message(Person.self)),
      .init(3, "delivery_id", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &request)
    case 2: try reader.message(into: &requester)
    case 3: deliveryID = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, request)
    writer.message(2, requester)
    writer.string(3, deliveryID)
  }
}

public struct TicketText: Message {
  public var title = ""
  public var description = ""
  public var auditDescription = ""
  /// Who wrote it: "rules".
  public var generator = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.TicketText",
    [
      .init(1, "title", .string), .init(2, "description", .string), .init(3, "audit_description", .string),
      .init(4, "generator", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: title = try reader.string()
    case 2: description = try reader.string()
    case 3: auditDescription = try reader.string()
    case 4: generator = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, title)
    writer.string(2, description)
    writer.string(3, auditDescription)
    writer.string(4, generator)
  }
}

public struct FileFacts: Message {
  public var name = ""
  /// Bytes.
  public var size: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.FileFacts", [.init(1, "name", .string), .init(2, "size", .int64)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: size = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.int64(2, size)
  }
}

public struct FileGroup: Message {
  /// "archive", "text", "image", "video", "database", "document", "other"
  public var kind = ""
  public var files: Int64 = 0
  public var bytes: Int64 = 0
  public var compressible = false
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.FileGroup",
    [
      .init(1, "kind", .string), .init(2, "files", .int64), .init(3, "bytes", .int64),
      .init(4, "compressible", .bool),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: kind = try reader.string()
    case 2: files = try reader.int64()
    case 3: bytes = try reader.int64()
    case 4: compressible = try reader.bool()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, kind)
    writer.int64(2, files)
    writer.int64(3, bytes)
    writer.bool(4, compressible)
  }
}

public struct AnalyseFilesRequest: Message {
  public var files: [FileFacts] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.AnalyseFilesRequest", [.init(1, "files", .message(FileFacts.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &files)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, files) }
}

public struct FileAnalysis: Message {
  public var files: Int64 = 0
  public var bytes: Int64 = 0
  /// Largest first.
  public var groups: [FileGroup] = []
  public var warnings: [String] = []
  public var summary = ""
  public var generator = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.FileAnalysis",
    [
      .init(1, "files", .int64), .init(2, "bytes", .int64), .init(3, "groups", .message(FileGroup.self), .repeated),
      .init(4, "warnings", .string, .repeated), .init(5, "summary", .string), .init(6, "generator", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: files = try reader.int64()
    case 2: bytes = try reader.int64()
    case 3: try reader.messages(into: &groups)
    case 4: warnings.append(try reader.string())
    case 5: summary = try reader.string()
    case 6: generator = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int64(1, files)
    writer.int64(2, bytes)
    writer.messages(3, groups)
    writer.strings(4, warnings)
    writer.string(5, summary)
    writer.string(6, generator)
  }
}

public struct RecommendRequest: Message {
  public var request: DeliveryRequest?
  public var analysis: FileAnalysis?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.RecommendRequest",
    [.init(1, "request", .message(DeliveryRequest.self)), .init(2, "analysis", .message(FileAnalysis.self))])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &request)
    case 2: try reader.message(into: &analysis)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, request)
    writer.message(2, analysis)
  }
}

public struct Recommendation: Message {
  /// "COMPRESS", "RAISE_PRIORITY", "PIN_HOST_KEY"
  public var code = ""
  /// One sentence.
  public var text = ""
  /// The facts behind it.
  public var reason = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Recommendation",
    [.init(1, "code", .string), .init(2, "text", .string), .init(3, "reason", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: code = try reader.string()
    case 2: text = try reader.string()
    case 3: reason = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, code)
    writer.string(2, text)
    writer.string(3, reason)
  }
}

public struct Recommendations: Message {
  public var recommendations: [Recommendation] = []
  public var generator = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Recommendations",
    [.init(1, "recommendations", .message(Recommendation.self), .repeated), .init(2, "generator", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &recommendations)
    case 2: generator = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, recommendations)
    writer.string(2, generator)
  }
}

public struct ComposeCompletionRequest: Message {
  public var delivery: Delivery?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ComposeCompletionRequest", [.init(1, "delivery", .message(Delivery.self))])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &delivery)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.message(1, delivery) }
}

public struct CompletionMessage: Message {
  public var title = ""
  public var body = ""
  public var generator = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.CompletionMessage",
    [.init(1, "title", .string), .init(2, "body", .string), .init(3, "generator", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: title = try reader.string()
    case 2: body = try reader.string()
    case 3: generator = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, title)
    writer.string(2, body)
    writer.string(3, generator)
  }
}

public struct ChatRole: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Taken as user.
  public static let unspecified = ChatRole(rawValue: 0)
  public static let user = ChatRole(rawValue: 1)
  public static let assistant = ChatRole(rawValue: 2)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.ChatRole", [("CHAT_ROLE_UNSPECIFIED", 0), ("CHAT_ROLE_USER", 1), ("CHAT_ROLE_ASSISTANT", 2)])
}

public struct ChatMessage: Message {
  public var role = ChatRole.unspecified
  public var text = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ChatMessage", [.init(1, "role", .enumeration(ChatRole.self)), .init(2, "text", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: role = try reader.enumeration()
    case 2: text = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, role)
    writer.string(2, text)
  }
}

public struct ChatRequest: Message {
  /// So far; the last one is the question.
  public var messages: [ChatMessage] = []
  /// That they are about.
  public var delivery: Delivery?
  /// Of it, those that failed.
  public var files: [DeliveryFile] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ChatRequest",
    [
      .init(1, "messages", .message(ChatMessage.self), .repeated), .init(2, "delivery", .message(Delivery.self)),
      .init(3, "files", .message(DeliveryFile.self), .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &messages)
    case 2: try reader.message(into: &delivery)
    case 3: try reader.messages(into: &files)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, messages)
    writer.message(2, delivery)
    writer.messages(3, files)
  }
}

public struct ChatAnswer: Message {
  /// What comes next of it.
  public var text = ""
  /// Questions that may follow; with the last piece.
  public var suggestions: [String] = []
  /// With the last piece.
  public var generator = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ChatAnswer",
    [
      .init(1, "text", .string), .init(2, "suggestions", .string, .repeated), .init(3, "generator", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: text = try reader.string()
    case 2: suggestions.append(try reader.string())
    case 3: generator = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, text)
    writer.strings(2, suggestions)
    writer.string(3, generator)
  }
}

extension ChatAnswer {
  /// Adds the next piece of a stream of them.
  public mutating func append(_ piece: ChatAnswer) {
    text += piece.text
    if !piece.suggestions.isEmpty { suggestions = piece.suggestions }
    if !piece.generator.isEmpty { generator = piece.generator }
  }
}

extension FerryFiles {
  public static let assist = FileDescriptor(
    "fileferry/v1/assist.proto", package: package, dependencies: [common, transfer],
    messages: [
      DescribeTicketRequest.descriptor, TicketText.descriptor, FileFacts.descriptor, FileGroup.descriptor,
      AnalyseFilesRequest.descriptor, FileAnalysis.descriptor, RecommendRequest.descriptor,
      Recommendation.descriptor, Recommendations.descriptor, ComposeCompletionRequest.descriptor,
      CompletionMessage.descriptor, ChatMessage.descriptor, ChatRequest.descriptor, ChatAnswer.descriptor,
    ],
    enums: [ChatRole.descriptor],
    services: [Assist.service])
}

extension Assist {
  public struct Client: Sendable {
    public let channel: ClientChannel
    public init(_ channel: ClientChannel) { self.channel = channel }

    public func describeTicket(
      _ request: DescribeTicketRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> TicketText {
      try await channel.unary(Assist.describeTicket, request, options)
    }
    public func analyseFiles(
      _ request: AnalyseFilesRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> FileAnalysis {
      try await channel.unary(Assist.analyseFiles, request, options)
    }
    public func recommend(
      _ request: RecommendRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Recommendations {
      try await channel.unary(Assist.recommend, request, options)
    }
    public func composeCompletion(
      _ request: ComposeCompletionRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> CompletionMessage {
      try await channel.unary(Assist.composeCompletion, request, options)
    }
    public func chat(
      _ request: ChatRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ResponseStream<ChatAnswer> {
      try await channel.serverStreaming(Assist.chat, request, options)
    }
  }
}

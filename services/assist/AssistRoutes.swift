// The five methods: what of a request cannot be worked with is refused here, the rest is the generator's.
import FerryAPI
import RPC
import ServiceKit

enum AssistRoutes {
  /// Files that one analysis takes; a message of 4 MiB holds about as many.
  static let maximumFiles = 50_000
  /// Of a conversation that comes with a question.
  static let maximumMessages = 100
  static let maximumFailedFiles = 100
  /// Bytes.
  static let maximumQuestion = 4000
  /// Selections that a request may have here.
  static let maximumSelections = 10_000

  static func router(_ generator: any TextGenerator) -> Router {
    var router = Router()
    router.handle(Assist.describeTicket) { (request, _) async throws(RPCError) in
      try check(request.request)
      return try await generator.describeTicket(request)
    }
    router.handle(Assist.analyseFiles) { (request, _) async throws(RPCError) in
      try check(request.files)
      return try await generator.analyseFiles(request)
    }
    router.handle(Assist.recommend) { (request, _) async throws(RPCError) in
      try check(request.request)
      return try await generator.recommend(request)
    }
    router.handle(Assist.composeCompletion) { (request, _) async throws(RPCError) in
      try await generator.composeCompletion(request)
    }
    router.handle(Assist.chat) { (request, _, writer) async throws(RPCError) in
      try check(request)
      try await generator.chat(request) { (piece) async throws(RPCError) in try await writer.send(piece) }
    }
    return router
  }

  static func check(_ request: DeliveryRequest?) throws(RPCError) {
    guard let request else {
      throw .invalid("There is no delivery request to write about.", next: "Send one in the field request.")
    }
    let selections = request.source?.selections.count ?? 0
    guard selections <= maximumSelections else {
      throw .invalid(
        "The request has \(selections) selections; assist takes \(maximumSelections).",
        next: "Select folders instead of single files.")
    }
  }

  static func check(_ chat: ChatRequest) throws(RPCError) {
    guard chat.delivery?.id.isEmpty == false else {
      throw .invalid("There is no delivery to talk about.", next: "Send it in the field delivery.")
    }
    guard let question = chat.messages.last, question.role != .assistant,
      question.text.contains(where: { !$0.isWhitespace })
    else { throw .invalid("There is no question.", next: "Send one as the last of the messages.") }
    guard chat.messages.count <= maximumMessages, chat.files.count <= maximumFailedFiles else {
      throw .invalid(
        "The conversation has \(chat.messages.count) messages and \(chat.files.count) files.",
        next: "Send the last \(maximumMessages) messages and \(maximumFailedFiles) files at most.")
    }
    guard question.text.utf8.count <= maximumQuestion else {
      throw .invalid(
        "The question has \(question.text.utf8.count) bytes; assist takes \(maximumQuestion).", next: "Ask it in fewer words.")
    }
  }

  static func check(_ files: [FileFacts]) throws(RPCError) {
    guard files.count <= maximumFiles else {
      throw .invalid(
        "There are \(files.count) files to analyse; assist takes \(maximumFiles) at once.",
        next: "Send a part of them.")
    }
    if let broken = files.first(where: { $0.size < 0 }) {
      throw .invalid(
        "The file \(OneLine.shortened(OneLine.text(broken.name), to: 200)) has a size of \(broken.size) bytes.",
        next: "Send sizes of 0 or more.")
    }
  }
}

extension RPCError {
  static let deliveryNotEnded = RPCError.invalid(
    "There is no ended delivery to write about.", next: "Ask again once it has succeeded, failed or been cancelled.")
}

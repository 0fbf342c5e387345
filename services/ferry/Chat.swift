// chat: questions about a delivery, one on the command line or several, a line each.
import ArgumentParser
import FerryAPI
import RPC

struct Chat: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Answers questions about a delivery.",
    discussion: """
      Examples: ferry chat dlv_01J... 'Why did it fail?'; ferry chat dlv_01J...
      Without a question, each line that you type is one; an empty line or Ctrl-D ends it.
      """)
  @OptionGroup var options: ServerOptions
  @Argument(help: "The delivery's id.") var id: String
  @Argument(help: "The question.") var question: String?

  /// What goes along with a question.
  private static let remembered = 20
  private static let failedFiles = 20

  func run() async throws {
    try await Server.run(options) { server in
      if let question {
        _ = try await answer([.with { ($0.role, $0.text) = (.user, question) }], server)
        return
      }
      // Who may not see it hears so before typing.
      _ = try await Transfer.Client(server.channel).getDelivery(.with { $0.id = id }, server.signedIn())
      var messages: [ChatMessage] = []
      while let line = ask(), !line.isEmpty {
        messages.append(.with { ($0.role, $0.text) = (.user, line) })
        let text = try await answer(messages, server)
        messages.append(.with { ($0.role, $0.text) = (.assistant, text) })
        messages = messages.suffix(Self.remembered)
      }
    }
  }

  private func ask() -> String? {
    if Printing.isTerminal {
      print("> ", terminator: "")
      Output.flush()
    }
    return readLine()
  }

  /// Prints what is answered, as it comes.
  private func answer(_ messages: [ChatMessage], _ server: Server) async throws -> String {
    let transfer = Transfer.Client(server.channel)
    // As it stands now: it may have gone on since the question before.
    let delivery = try await transfer.getDelivery(.with { $0.id = id }, server.signedIn())
    var request = ChatRequest.with {
      $0.messages = messages
      $0.delivery = delivery
    }
    if delivery.filesFailed > 0 {
      let page = try await transfer.listDeliveryFiles(
        .with {
          $0.deliveryID = id
          $0.pageSize = 1000
        }, server.signedIn())
      request.files = Array(page.files.filter { $0.status == .failed }.prefix(Self.failedFiles))
    }
    var whole = ChatAnswer()
    for try await piece in try await Assist.Client(server.channel).chat(request, server.signedIn()) {
      if !options.json { print(piece.text, terminator: "") }
      whole.append(piece)
    }
    print(options.json ? whole.jsonString() : "")
    Output.flush()
    return whole.text
  }
}

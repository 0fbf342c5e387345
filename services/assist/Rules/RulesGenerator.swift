// The generator that needs no network and no model: fixed rules choose what to say, the files of English/ say it. The
// same request always gets the same text, so that a step which is done twice writes the same ticket.
import FerryAPI
import RPC

struct RulesGenerator: TextGenerator {
  let name = "rules"
  var now: @Sendable () -> Timestamp = Timestamp.now

  func describeTicket(_ request: DescribeTicketRequest) -> TicketText {
    let words = TicketWords(request)
    return TicketText.with {
      $0.title = words.title
      $0.description = words.description
      $0.auditDescription = words.auditDescription
      $0.generator = name
    }
  }

  func analyseFiles(_ request: AnalyseFilesRequest) -> FileAnalysis {
    var analysis = FileGrouping.analyse(request.files)
    analysis.warnings = FileWarnings.all(of: request.files)
    analysis.summary = AnalysisWords.summary(of: analysis, largest: FileGrouping.largest(of: request.files))
    analysis.generator = name
    return analysis
  }

  func recommend(_ request: RecommendRequest) -> Recommendations {
    Recommendations.with {
      $0.recommendations = RecommendationRules.all(for: request)
      $0.generator = name
    }
  }

  func composeCompletion(_ request: ComposeCompletionRequest) throws(RPCError) -> CompletionMessage {
    guard let delivery = request.delivery, let words = CompletionWords(delivery) else { throw .deliveryNotEnded }
    return CompletionMessage.with {
      $0.title = words.title
      $0.body = words.body
      $0.generator = name
    }
  }

  func chat(
    _ request: ChatRequest, _ write: (ChatAnswer) async throws(RPCError) -> Void
  ) async throws(RPCError) {
    guard let delivery = request.delivery, let question = request.messages.last?.text else { return }
    let words = ChatWords(delivery, failed: request.files, now: now())
    let topics = ChatTopic.all(in: question)
    try await write(
      .with {
        $0.text = topics.isEmpty ? words.unknown : topics.map(words.answer).joined(separator: "\n\n")
        $0.suggestions = ChatTopic.suggestions(for: delivery, besides: topics).map(words.question)
        $0.generator = name
      })
  }
}

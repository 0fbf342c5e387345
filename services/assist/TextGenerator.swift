// The seam between assist and whoever writes its texts: the built-in rules, later a language model of Bedrock or Azure
// OpenAI. One file a generator and one line in the registry; nothing else of the service knows which one is at work.
import FerryAPI
import RPC

/// Writes texts about what a request says. Every fact in an answer has to stand in the request: a generator only
/// phrases. Called from any task, several at once; throws `unavailable` where it cannot be reached.
protocol TextGenerator: Sendable {
  /// Stands in each answer as its `generator`: "rules".
  var name: String { get }

  func describeTicket(_ request: DescribeTicketRequest) async throws(RPCError) -> TicketText
  func analyseFiles(_ request: AnalyseFilesRequest) async throws(RPCError) -> FileAnalysis
  func recommend(_ request: RecommendRequest) async throws(RPCError) -> Recommendations
  func composeCompletion(_ request: ComposeCompletionRequest) async throws(RPCError) -> CompletionMessage
  /// The last message of the request is a question, and there is a delivery. `write` takes the answer's pieces; the last one
  /// names the generator.
  func chat(
    _ request: ChatRequest, _ write: (ChatAnswer) async throws(RPCError) -> Void
  ) async throws(RPCError)
}

/// The generators that --generator can name, one line each.
enum TextGenerators {
  static let all: [any TextGenerator] = [
    RulesGenerator()
  ]

  static func named(_ name: String) -> (any TextGenerator)? { all.first { $0.name == name } }
}

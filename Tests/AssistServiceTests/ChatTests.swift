// What is answered to questions about a delivery, in each of its states; and that every question it proposes is understood.
import FerryAPI
import RPC
import Testing

@testable import AssistService

@Suite("Chat")
struct ChatTests {
  private static let now = Timestamp(seconds: 1100)

  private static func running(_ fill: (inout Delivery) -> Void = { _ in }) -> Delivery {
    ended(.running) {
      ($0.filesDone, $0.bytesDone, $0.finishedAt) = (4, 1 << 30, nil)
      $0.states = [.with { ($0.state, $0.status) = (.download, .done) }, .with { ($0.state, $0.status) = (.transfer, .active) }]
      fill(&$0)
    }
  }

  private func answer(_ question: String, _ delivery: Delivery, failed: [DeliveryFile] = []) async throws -> ChatAnswer {
    var generator = RulesGenerator()
    generator.now = { Self.now }
    var pieces: [ChatAnswer] = []
    let request = ChatRequest.with {
      $0.messages = [.with { $0.text = question }]
      $0.delivery = delivery
      $0.files = failed
    }
    try await generator.chat(request) { (piece) async throws(RPCError) in pieces.append(piece) }
    let last = try #require(pieces.last)
    #expect(last.generator == "rules")
    return .with {
      $0.text = pieces.map(\.text).joined()
      $0.suggestions = last.suggestions
    }
  }

  @Test("one that runs: how far, how long still, at which step")
  func underway() async throws {
    let delivery = Self.running()
    #expect(
      try await answer("How's it going?", delivery).text
        == "It is running: 4 of 12 files and 1 GiB of 3 GiB are there. It is at the step transfer.")
    // 1 GiB in 100 s leaves 2 GiB for 200 s.
    #expect(
      try await answer("when will it be finished", delivery).text
        == "About 3 min 20 s more, if it goes on as fast as so far (10 MiB a second).")
    #expect(try await answer("Which STEP is it at?", delivery).text == "Its eight steps: download: done, transfer: working.")
    #expect(try await answer("Why did it fail?", delivery).text == "Nothing has gone wrong so far.")
    #expect(try await answer("how long?", Self.running { $0.bytesDone = 0 }).text.hasPrefix("That can't be said before"))
  }

  @Test("one that failed: why in the other side's words too, what to do, which files")
  func failed() async throws {
    let delivery = ended(.failed) { ($0.filesDone, $0.filesFailed, $0.problem) = (10, 2, full) }
    let files = [DeliveryFile.with { ($0.key, $0.problem) = ("in/a\u{202E}.csv", full) }]
    #expect(
      try await answer("why?", delivery).text
        == "The disk of sftp.partner.example is full. The other side's own words: sftp, SSH_FX_FAILURE.")
    #expect(
      try await answer("What should I do now?", delivery).text
        == "Ask the partner for room, then retry the delivery. Then retry the delivery: what is proven is not sent again.")
    #expect(
      try await answer("which files failed?", delivery, failed: files).text
        == "2 files failed.\nin/a\\u{202E}.csv: The disk of sftp.partner.example is full.\nAnd 1 file more.")
    #expect(try await answer("hello", delivery).suggestions.first == "Why did it fail?")
  }

  @Test("one that is delivered: how long it took, what proves it, its tickets")
  func delivered() async throws {
    let delivery = ended(.succeeded) { $0.hasReceipt = true }
    #expect(try await answer("how long did that take", delivery).text == "It took 4 min 12 s.")
    #expect(try await answer("can I trust it?", delivery).text.hasSuffix("the signed receipt says so with each file's SHA-256."))
    #expect(
      try await answer("ticket number please, and who asked", delivery).text
        == "Your ticket is REQ0000042, the audit ticket AUD0000042.\n\nSomebody unknown asked for it.")
    let chosen = ended(.succeeded) { $0.request = .with { $0.options = .with { $0.proof = .size } } }
    #expect(try await answer("proof?", chosen).text.contains("no more than the size of each file"))
  }

  @Test("what is not understood says what can be asked")
  func unknown() async throws {
    let told = try await answer("Tell me a joke!", ended(.succeeded))
    #expect(told.text.hasPrefix("I know this delivery and nothing else."))
    #expect(told.suggestions == ["How is it proven?", "How long did it take?", "What are the ticket numbers?"])
  }

  @Test(
    "each question that is proposed is understood as itself", arguments: ChatTopic.allCases,
    [DeliveryStatus.running, .succeeded, .failed, .cancelled, .paused])
  func proposed(topic: ChatTopic, status: DeliveryStatus) {
    let words = ChatWords(ended(status), failed: [], now: Self.now)
    #expect(ChatTopic.all(in: words.question(topic)) == [topic])
    #expect(!words.answer(topic).isEmpty)
  }

  @Test(
    "what can't be answered is refused",
    arguments: [
      ChatRequest(), .with { $0.messages = [.with { $0.text = "why" }] }, .with { $0.delivery = ended(.failed) },
      .with {
        $0.delivery = ended(.failed)
        $0.messages = [.with { $0.text = " \n" }]
      },
      .with {
        $0.delivery = ended(.failed)
        $0.messages = [.with { ($0.role, $0.text) = (.assistant, "why") }]
      },
      .with {
        $0.delivery = ended(.failed)
        $0.messages = [.with { $0.text = String(repeating: "why ", count: 2000) }]
      },
    ])
  func refused(request: ChatRequest) {
    let error = #expect(throws: RPCError.self) { try AssistRoutes.check(request) }
    #expect(error?.code == .invalidArgument && error?.problem?.nextStep.isEmpty == false)
  }
}

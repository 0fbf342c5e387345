// What a question about a delivery is about, told by its words, and what one may ask next.
import FerryAPI

enum ChatTopic: CaseIterable, Sendable {
  case status, timeLeft, failure, nextStep, failedFiles, steps, retries, proof, tickets, people, place, source, steering

  /// A question holds a topic if one of these stands in it: words by their beginning, "fail" for "failed" and "failure".
  private var marks: [String] {
    switch self {
    case .status:
      [
        "status", "going", "progress", "far", "doing", "state of", "happening", "is it done", "arrived", "is it delivered",
        "been delivered",
      ]
    case .timeLeft: ["how long", "when", "left", "eta", "finish", "remaining", "minutes", "soon", "speed", "fast", "slow"]
    case .failure: ["why", "fail", "wrong", "error", "problem", "broke", "stuck", "cause", "reason"]
    case .nextStep: ["what to do", "what can i do", "what should", "fix", "mend", "solve", "next step", "help me", "do now"]
    case .failedFiles: ["which file", "failed files", "files failed", "missing"]
    case .steps: ["step", "states", "stage", "phase", "eight"]
    case .retries: ["retries", "tried again", "interrupted", "restart", "crash", "attempt", "how often"]
    case .proof: ["proof", "prove", "receipt", "hash", "checksum", "sha", "verif", "signed", "sure", "trust", "corrupt"]
    case .tickets: ["ticket", "audit", "req", "number"]
    case .people: ["who", "whose", "requested", "requester", "asked for", "group"]
    case .place: ["where to", "where does", "where did", "server", "destination", "host", "folder"]
    case .source: ["where from", "source", "bucket", "come from", "came from", "what files", "what is in", "what is delivered"]
    case .steering:
      [
        "pause", "resume", "i cancel", "cancel it", "cancel this", "stop", "retry", "run it again", "send it again",
        "continue", "abort",
      ]
    }
  }

  /// In the order of the answers; at most `most`.
  static func all(in question: String, most: Int = 3) -> [ChatTopic] {
    let words = question.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
    let text = " " + words.joined(separator: " ")
    var found = allCases.filter { topic in topic.marks.contains { text.contains(" " + $0) } }
    // "Which files failed?" asks for their names, and each comes with its reason.
    if found.contains(.failedFiles) { found.removeAll { $0 == .failure } }
    return Array(found.prefix(most))
  }

  /// Worth asking about such a delivery, three at most.
  static func suggestions(for delivery: Delivery, besides asked: [ChatTopic]) -> [ChatTopic] {
    let fitting: [ChatTopic] =
      switch delivery.status {
      case .succeeded: [.proof, .timeLeft, .tickets, .retries]
      case .failed: [.failure, .nextStep, .failedFiles, .steering, .tickets]
      case .cancelled: [.failure, .steering, .tickets]
      case .paused: [.status, .steering, .tickets]
      default: [.timeLeft, .status, .steps, .retries, .tickets]
      }
    return Array(fitting.filter { !asked.contains($0) }.prefix(3))
  }
}

// A notification as an Adaptive Card 1.4 in the message that Teams' webhooks take ("Send Adaptive Cards using an
// Incoming Webhook", Microsoft Teams documentation; "Adaptive Cards schema", adaptivecards.io). Foreign text stands in
// TextRuns, which know no Markdown, or is escaped: a file's name must not become a link.
import FerryAPI
import FoundationEssentials

struct TeamsCard {
  /// Teams takes 28 KB; what is over is cut from the body.
  static let maximumSize = 24 * 1024
  /// Lines of the body, and facts, at most.
  static let maximumLines = 60
  static let maximumFacts = 32
  static let maximumTitle = 256
  static let maximumFact = 256

  private let outgoing: Outgoing

  init(_ outgoing: Outgoing) { self.outgoing = outgoing }

  /// The message as UTF-8 JSON.
  var json: [UInt8] {
    var bodyBytes = Self.maximumSize
    var facts = Self.maximumFacts
    while true {
      let bytes = encoded(bodyBytes: bodyBytes, facts: facts)
      if bytes.count <= Self.maximumSize || facts == 0 { return bytes }
      // Escapes make JSON longer than its text, so it is measured: first the body gives way, then the facts.
      if bodyBytes > 0 { bodyBytes = bodyBytes > 512 ? bodyBytes / 2 : 0 } else { facts /= 2 }
    }
  }

  private func encoded(bodyBytes: Int, facts: Int) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let message = Message(attachments: [Message.Attachment(content: card(bodyBytes: bodyBytes, facts: facts))])
    do { return [UInt8](try encoder.encode(message)) } catch {
      // Strings and booleans always encode; should that ever change, an empty message is refused by Teams and told.
      return []
    }
  }

  private func card(bodyBytes: Int, facts maximumFacts: Int) -> Card {
    let notification = outgoing.notification
    var body = [Element.text(Self.cut(notification.title, to: Self.maximumTitle), .title(notification.severity))]
    if outgoing.mayBeRepeat {
      body.append(.text("Sent again after an interruption: this may be the second time.", .subtle))
    }
    let text = Self.cut(notification.body, to: bodyBytes)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
    body += lines.prefix(Self.maximumLines).map { .text(String($0), .plain) }
    let facts = notification.facts.prefix(maximumFacts)
    let isShortened = text.utf8.count < notification.body.utf8.count || lines.count > Self.maximumLines
    if isShortened || facts.count < notification.facts.count {
      body.append(.text("The message was too long for Teams; FileFerry has all of it.", .subtle))
    }
    if !facts.isEmpty {
      body.append(
        .facts(
          facts.map {
            .init(title: Self.plain(Self.cut($0.name, to: Self.maximumFact)),
              value: Self.plain(Self.cut($0.value, to: Self.maximumFact)))
          }))
    }
    return Card(fallbackText: Self.cut(notification.title, to: Self.maximumTitle), body: body)
  }

  /// At most so many bytes, cut between characters.
  private static func cut(_ text: String, to limit: Int) -> String {
    if text.utf8.count <= limit { return text }
    var bytes = 0
    let kept = text.prefix { character in
      bytes += character.utf8.count
      return bytes <= max(0, limit - 3)
    }
    return limit < 3 ? "" : kept + "…"
  }

  /// For the fields that read Markdown (its signs escaped, CommonMark section 2.4) and know no plain text.
  private static func plain(_ text: String) -> String {
    text.reduce(into: "") { $0 += "\\*_[]()`#~>".contains($1) ? "\\\($1)" : String($1) }
  }

  // MARK: JSON

  struct Message: Encodable {
    struct Attachment: Encodable {
      let contentType = "application/vnd.microsoft.card.adaptive"
      let content: Card
    }
    let type = "message"
    let attachments: [Attachment]
  }

  struct Card: Encodable {
    enum CodingKeys: String, CodingKey {
      case schema = "$schema"
      case type, version, fallbackText, body, msteams
    }
    struct Teams: Encodable { let width = "Full" }
    let schema = "http://adaptivecards.io/schemas/adaptive-card.json"
    let type = "AdaptiveCard"
    let version = "1.4"
    let fallbackText: String
    let body: [Element]
    let msteams = Teams()
  }

  struct Element: Encodable {
    struct Run: Encodable {
      let type = "TextRun"
      let text: String
      var size: String?
      var weight: String?
      var color: String?
      var isSubtle: Bool?
    }
    struct Fact: Encodable {
      let title: String
      let value: String
    }
    enum Style {
      case title(Severity)
      case plain, subtle
    }

    let type: String
    var inlines: [Run]?
    var facts: [Fact]?

    static func text(_ text: String, _ style: Style) -> Element {
      var run = Run(text: text)
      switch style {
      case .plain: break
      case .subtle: run.isSubtle = true
      case .title(let severity):
        run.size = "Large"
        run.weight = "Bolder"
        run.color =
          switch severity {
          case .success: "Good"
          case .warning: "Warning"
          case .error: "Attention"
          default: "Default"
          }
      }
      return Element(type: "RichTextBlock", inlines: [run])
    }

    static func facts(_ facts: [Fact]) -> Element { Element(type: "FactSet", facts: facts) }
  }
}

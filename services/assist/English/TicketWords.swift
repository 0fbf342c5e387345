// The texts of a delivery's two tickets: a title, a description in plain sentences for the person who asked, and one in
// a fixed "key: value" layout for audit. What the request does not say is left out, not guessed.
import FerryAPI

struct TicketWords {
  static let maximumTitle = 120
  /// Selections that a description spells out; it counts the others.
  static let shownSelections = 20
  /// Characters of one of them in the audit text: as many as a key of S3 may have.
  static let maximumValue = 1024

  private let request: DeliveryRequest
  private let requester: Person?
  private let deliveryID: String
  private let destination: DestinationWords

  init(_ ticket: DescribeTicketRequest) {
    request = ticket.request ?? DeliveryRequest()
    requester = ticket.requester
    deliveryID = ticket.deliveryID
    destination = DestinationWords(request)
  }

  private var selections: [Selection] { request.source?.selections ?? [] }
  private var bucket: String { OneLine.text(request.source?.bucket ?? "") }
  private var connection: String { OneLine.text(request.source?.connection ?? "") }
  private var options: DeliveryOptions { request.options ?? DeliveryOptions() }

  // MARK: Title

  /// "Deliver reports/2026/ from acme-exports to sftp.partner.example (UAT, high)". One of the requester's own stays.
  var title: String {
    if !request.title.isEmpty { return OneLine.shortened(OneLine.text(request.title), to: Self.maximumTitle) }
    let origin = bucket.isEmpty ? "" : " from \(OneLine.shortened(bucket, to: 63))"
    let target = destination.short.isEmpty ? "" : " to \(OneLine.shortened(destination.short, to: 40))"
    let marks = [RequestWords.environment(request.environment), RequestWords.priority(request.priority)]
    let ending = origin + target + " (\(marks.compactMap { $0 }.joined(separator: ", ")))"
    let room = Self.maximumTitle - "Deliver ".count - ending.count
    let title = "Deliver \(OneLine.shortened(selectionTitle, to: max(room, 12)))\(ending)"
    return OneLine.shortened(title, to: Self.maximumTitle)
  }

  private var selectionTitle: String {
    guard let first = selections.first else { return "files" }
    let value = first.value.isEmpty ? "all files" : OneLine.text(first.value)
    return selections.count == 1 ? value : "\(value) and \(selections.count - 1) more"
  }

  // MARK: For the person who asked

  var description: String {
    if !request.description.isEmpty { return request.description }
    var lines = [opening]
    let shown = selections.prefix(Self.shownSelections).map(RequestWords.selection)
    if let only = shown.first, selections.count == 1 { lines.append("To be delivered: \(only).") }
    if selections.count > 1 {
      lines.append("To be delivered, \(selections.count) selections:")
      lines += shown.map { "- \($0)" }
      if selections.count > shown.count { lines.append("- and \(selections.count - shown.count) more") }
    }
    let environment = RequestWords.environment(request.environment).map { "The environment is \($0), the priority" }
    lines.append("\(environment ?? "The priority") is \(RequestWords.priority(request.priority)).")
    if !request.assignmentGroup.isEmpty {
      lines.append("The assignment group is \(OneLine.text(request.assignmentGroup)).")
    }
    let conflict =
      switch options.onConflict {
      case .fail: "A file that is already there is left as it is, and the delivery fails."
      case .skipIfEqual:
        "A file that is already there with the same bytes is left alone; another is replaced once the new one is proven."
      default: "A file that is already there is replaced, but only once the new one is proven."
      }
    lines.append(conflict)
    return lines.joined(separator: "\n")
  }

  private var opening: String {
    let who = RequestWords.name(requester).map { "\($0) asked for a delivery" } ?? "A delivery was asked for"
    let origin = bucket.isEmpty ? "" : " from the bucket \(bucket)"
    let way = bucket.isEmpty || connection.isEmpty ? "" : " of the connection \(connection)"
    return who + origin + way + (destination.full.isEmpty ? "" : " to \(destination.full)") + "."
  }

  // MARK: For audit

  /// Always these lines in this order; "not said" where the request is silent.
  var auditDescription: String {
    var rows: [(String, String)] = [
      ("Delivery", OneLine.text(deliveryID)),
      ("Requested at", DeliveryTime.text(of: deliveryID) ?? ""),
      ("Requester", requesterRow),
      ("Source connection", connection.isEmpty ? "default" : connection),
      ("Source bucket", bucket),
    ]
    for (index, selection) in selections.prefix(Self.shownSelections).enumerated() {
      rows.append(("Selection \(index + 1)", selectionRow(selection)))
    }
    if selections.count > Self.shownSelections {
      rows.append(("Further selections", "\(selections.count - Self.shownSelections)"))
    }
    rows += [
      ("Destination", destination.full),
      ("Environment", RequestWords.environment(request.environment) ?? ""),
      ("Priority", RequestWords.priority(request.priority)),
      ("Assignment group", OneLine.text(request.assignmentGroup)),
      ("On conflict", RequestWords.onConflict(options.onConflict)),
      ("Compression", RequestWords.compression(options)),
      ("Chunk size", options.chunkSize > 0 ? "\(options.chunkSize) bytes" : "default"),
      ("Host keys", hostKeysRow),
    ]
    return rows.map { "\($0): \($1.isEmpty ? "not said" : $1)" }.joined(separator: "\n")
  }

  private var requesterRow: String {
    guard let requester else { return "" }
    let mail = requester.email.isEmpty ? "" : "<\(requester.email)>"
    let id = requester.id.isEmpty ? "" : "(\(requester.id))"
    return OneLine.text([requester.name, mail, id].filter { !$0.isEmpty }.joined(separator: " "))
  }

  private func selectionRow(_ selection: Selection) -> String {
    let kind =
      switch selection.kind {
      case .key: "key"
      case .prefix: "prefix"
      default: "key or prefix"
      }
    let value = OneLine.shortened(OneLine.text(selection.value), to: Self.maximumValue)
    return value.isEmpty ? "\(kind), everything" : "\(kind) \(value)"
  }

  private var hostKeysRow: String {
    guard let keys = request.destination?.hostKeys else { return "as saved or accepted before" }
    if !keys.fingerprints.isEmpty {
      return OneLine.shortened(OneLine.text(keys.fingerprints.joined(separator: ", ")), to: Self.maximumValue)
    }
    return keys.acceptNew ? "a new host's key is accepted" : "as saved or accepted before"
  }
}

/// When a delivery was asked for: its id is a ULID (github.com/ulid/spec), whose first ten characters are milliseconds.
/// Taken from there and not from a clock, so that a ticket described twice says the same.
enum DeliveryTime {
  private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ")

  static func text(of deliveryID: String) -> String? {
    guard let ulid = deliveryID.split(separator: "_").last, ulid.count == 26 else { return nil }
    var milliseconds: Int64 = 0
    for character in ulid.prefix(10) {
      guard let digit = alphabet.firstIndex(of: character) else { return nil }
      milliseconds = milliseconds << 5 | Int64(digit)
    }
    // Ten characters hold 50 bits, the time has 48 (to the year 10889); RFC 3339 stops at 9999.
    guard milliseconds <= 253_402_300_799_999 else { return nil }
    return Timestamp(seconds: milliseconds / 1000).description
  }
}

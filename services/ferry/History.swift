// history: earlier deliveries, as far back and of the kind that is asked for.
import ArgumentParser
import FerryAPI
import Glibc
import RPC

struct History: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists earlier deliveries, the newest first.",
    discussion: """
      Examples: ferry history --limit 200; ferry history --status failed --json;
      ferry history --search 'acme report' --since 2026-11-01 --until 2026-11-30
      """)
  @OptionGroup var options: ServerOptions
  @Option(help: "Only those that are pending, running, paused, succeeded, failed or cancelled.") var status: String?
  @Option(help: "Only those with these words in files, tickets, title, destination or requester's name.") var search = ""
  @Option(help: "Only those asked for on that day or later: 2026-11-27, or a time as 2026-11-27T06:30:00Z.") var since: String?
  @Option(help: "Only those asked for on that day or earlier, or before a time.") var until: String?
  @Option(help: "Only those that this schedule started.") var schedule = ""
  @Option(help: "How many, 1 to 10000.") var limit = 50

  /// Of one call.
  private static let pageSize: Int32 = 200

  func validate() throws {
    guard (1...10_000).contains(limit) else { throw ValidationError("--limit is \(limit). Set it to 1 up to 10000.") }
    _ = try wanted()
  }

  private func wanted() throws -> ListDeliveriesRequest {
    try .with {
      $0.status = try status.map { try DeliveryStatus.parse($0, prefix: "DELIVERY_STATUS_") } ?? .unspecified
      ($0.search, $0.schedule) = (search, schedule)
      $0.createdFrom = try since.map { try Self.time($0, days: 0) }
      $0.createdBefore = try until.map { try Self.time($0, days: 1) }
    }
  }

  /// A time as it is typed, or the begin of a day here, so many days later.
  static func time(_ text: String, days: Int32) throws -> Timestamp {
    if let time = Timestamp(rfc3339: text) { return time }
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    var date = tm()
    guard text.utf8.count == 10, parts.count == 3, let year = Int32(parts[0]), let month = Int32(parts[1]),
      let day = Int32(parts[2]), (1...12).contains(month), (1...31).contains(day)
    else { throw ValidationError("'\(text)' is no day such as 2026-11-27, and no time such as 2026-11-27T06:30:00Z.") }
    (date.tm_year, date.tm_mon, date.tm_mday, date.tm_isdst) = (year - 1900, month - 1, day + days, -1)
    return Timestamp(seconds: Int64(mktime(&date)))
  }

  func run() async throws {
    let wanted = try wanted()
    try await Server.run(options) { server in
      var found: [Delivery] = []
      var token = ""
      repeat {
        var request = wanted
        request.pageSize = min(Self.pageSize, Int32(limit - found.count))
        request.pageToken = token
        let page = try await Transfer.Client(server.channel).listDeliveries(request, server.signedIn())
        found += page.deliveries
        token = page.nextPageToken
      } while !token.isEmpty && found.count < limit
      if options.json {
        for delivery in found { print(delivery.jsonString()) }
      } else if found.isEmpty {
        print("There are no such deliveries.")
      } else {
        Self.show(found)
      }
    }
  }

  static func show(_ deliveries: [Delivery]) {
    Printing.table(
      ["ID", "STATUS", "FILES", "BYTES", "TICKET", "STARTED", "TO"],
      deliveries.map { delivery in
        [
          delivery.id, Printing.name(delivery.status), "\(delivery.filesDone)/\(delivery.filesTotal)",
          Printing.bytes(delivery.bytesDone), delivery.userTicket, Printing.time(delivery.createdAt), delivery.destination,
        ]
      })
  }
}

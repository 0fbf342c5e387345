// history: earlier deliveries, as far back and of the kind that is asked for.
import ArgumentParser
import FerryAPI
import RPC

struct History: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists earlier deliveries, the newest first.",
    discussion: "Examples: ferry history --limit 200; ferry history --status failed --json")
  @OptionGroup var options: ServerOptions
  @Option(help: "Only those that are pending, running, paused, succeeded, failed or cancelled.") var status: String?
  @Option(help: "How many, 1 to 10000.") var limit = 50

  /// Of one call.
  private static let pageSize: Int32 = 200

  func validate() throws {
    guard (1...10_000).contains(limit) else { throw ValidationError("--limit is \(limit). Set it to 1 up to 10000.") }
    if let status { _ = try DeliveryStatus.parse(status, prefix: "DELIVERY_STATUS_") }
  }

  func run() async throws {
    let wanted = try status.map { try DeliveryStatus.parse($0, prefix: "DELIVERY_STATUS_") } ?? .unspecified
    try await Server.run(options) { server in
      var found: [Delivery] = []
      var token = ""
      repeat {
        let page = try await Transfer.Client(server.channel).listDeliveries(
          .with {
            $0.status = wanted
            $0.pageSize = min(Self.pageSize, Int32(limit - found.count))
            $0.pageToken = token
          }, server.signedIn())
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

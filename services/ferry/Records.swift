// ticket, notifications, system: what the other services keep about a request, and whether they answer.
import ArgumentParser
import FerryAPI
import RPC

struct TicketCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ticket", abstract: "Shows a ticket with its work notes, or lists tickets.",
    discussion: "Examples: ferry ticket; ferry ticket REQ0000042")
  @OptionGroup var options: ServerOptions
  @Argument(help: "The ticket's number.") var number: String?

  func run() async throws {
    try await Server.run(options) { server in
      let client = Ticketing.Client(server.channel)
      guard let number else {
        let list = try await client.listTickets(.with { $0.pageSize = 50 }, server.signedIn())
        guard !options.json else { return print(list.jsonString()) }
        return Printing.table(
          ["NUMBER", "KIND", "STATUS", "OUTCOME", "OPENED", "TITLE"],
          list.tickets.map { ticket in
            [
              ticket.number, Printing.name(ticket.kind), Printing.name(ticket.status),
              ticket.outcome == .unspecified ? "" : Printing.name(ticket.outcome), Printing.time(ticket.openedAt),
              ticket.title,
            ]
          })
      }
      let ticket = try await client.getTicket(.with { $0.number = number }, server.signedIn())
      guard !options.json else { return print(ticket.jsonString()) }
      print("\(ticket.number)  \(ticket.title)")
      print("\(Printing.name(ticket.kind)) ticket, \(Printing.name(ticket.status)), opened \(Printing.time(ticket.openedAt))")
      print("")
      print(ticket.description)
      for note in ticket.workNotes { print("\(Printing.time(note.time))  \(note.text)") }
      if !ticket.closingNote.isEmpty { print("Closed (\(Printing.name(ticket.outcome))): \(ticket.closingNote)") }
    }
  }
}

struct NotificationsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "notifications", abstract: "Lists your notifications, newest first.",
    discussion: "Example: ferry notifications")
  @OptionGroup var options: ServerOptions

  func run() async throws {
    try await Server.run(options) { server in
      let list = try await Notifications.Client(server.channel).listNotifications(
        .with { $0.pageSize = 50 }, server.signedIn())
      guard !options.json else { return print(list.jsonString()) }
      for notification in list.notifications {
        print("\(Printing.time(notification.time))  [\(Printing.name(notification.severity))] \(notification.title)")
        print("    \(notification.body.split(separator: "\n").joined(separator: "\n    "))")
      }
      print("\(list.unread) unread")
    }
  }
}

struct SystemCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "system", abstract: "Shows which services answer.", discussion: "Example: ferry system")
  @OptionGroup var options: ServerOptions

  func run() async throws {
    try await Server.run(options) { server in
      let status = try await Gateway.Client(server.channel).getSystemStatus(GetSystemStatusRequest(), server.signedIn())
      if options.json {
        print(status.jsonString())
      } else {
        for service in status.services {
          print("\(service.serving ? "ok  " : "DOWN") \(service.service.padding(to: 16)) \(service.detail)")
        }
      }
      if status.services.contains(where: { !$0.serving }) { throw ExitCode(1) }
    }
  }
}

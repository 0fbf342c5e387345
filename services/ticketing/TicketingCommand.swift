// ferry-ticketing: the program. It opens its database and serves tickets from it.
import ArgumentParser
import FerryAPI
import ServiceKit

@main
struct TicketingCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry-ticketing",
    abstract: "Keeps two tickets for each request: one for the requester, one for audit.")

  @OptionGroup var options: ServiceOptions
  @OptionGroup var peers: PeerOptions

  func run() async throws {
    try await runService(name: "ticketing", options: options, peers: peers, files: [FerryFiles.ticketing]) {
      TicketingRoutes.router(TicketDesk(try await $0.openStore()))
    }
  }
}

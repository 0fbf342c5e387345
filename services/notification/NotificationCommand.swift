// ferry-notification: the program. It opens its database, sets the channels up, and takes up what the outbox still
// holds.
import ArgumentParser
import FerryAPI
import ServiceKit

@main
struct NotificationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry-notification",
    abstract: "Tells people what became of their deliveries: in the app, by mail, in Teams.")

  @OptionGroup var options: ServiceOptions
  @OptionGroup var peers: PeerOptions
  @OptionGroup var messengerOptions: MessengerOptions

  func run() async throws {
    try await runService(name: "notification", options: options, peers: peers, files: [FerryFiles.notification]) {
      let store = try await $0.openStore()
      let desk = NotificationDesk(store, channels: try Outlets.all(messengerOptions))
      let lanes = desk.startLanes(logger: $0.logger)
      $0.onStopping { desk.hub.close() }
      $0.onShutdown {
        for lane in lanes { lane.cancel() }
        for lane in lanes { await lane.value }
      }
      return NotificationRoutes.router(desk)
    }
  }
}

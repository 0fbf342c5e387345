// The program ferry-storage-broker: its options, and the start of the service. What it answers is in
// BrokerService.swift.
import ArgumentParser
import FerryAPI
import ServiceKit
import Transport

@main
struct StorageBrokerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry-storage-broker",
    abstract: "Keeps the connections to object storage, lists what is there, and grants short-lived rights to read it.")

  @OptionGroup var options: ServiceOptions
  @OptionGroup var peers: PeerOptions

  @Option(help: "PEM file of the certificate authorities to trust for https endpoints, in place of the system's.")
  var caFile: String?

  func run() async throws {
    let caFile = caFile
    try await runService(
      name: "storage-broker", options: options, peers: peers, files: [FerryFiles.common, FerryFiles.storageBroker]
    ) { environment in
      var configuration = HTTPClientConfiguration()
      configuration.caFile = caFile
      let http = HTTPClient(configuration)
      environment.onShutdown { http.shutdown() }
      let store = try await environment.openStore()
      let connections = ConnectionStore(store: store, box: environment.secretBox)
      return BrokerService(connections: connections, stores: OpenStores(connections: connections, http: http)).router()
    }
  }
}

// ferry-assist: the program. It picks the text generator and serves it; it keeps nothing and calls nobody but auth.
import ArgumentParser
import FerryAPI
import ServiceKit

@main
struct AssistCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry-assist", abstract: "Writes tickets, analyses and messages from what a request says.")

  @OptionGroup var options: ServiceOptions
  @OptionGroup var peers: PeerOptions

  @Option(help: "Who writes the texts: \(TextGenerators.all.map(\.name).joined(separator: ", ")).")
  var generator = "rules"

  func validate() throws {
    if TextGenerators.named(generator) == nil {
      let names = TextGenerators.all.map(\.name).joined(separator: ", ")
      throw ValidationError("There is no text generator '\(generator)'. Choose one of: \(names).")
    }
  }

  func run() async throws {
    guard let writer = TextGenerators.named(generator) else { return try validate() }
    try await runService(name: "assist", options: options, peers: peers, files: [FerryFiles.assist]) { _ in
      AssistRoutes.router(writer)
    }
  }
}

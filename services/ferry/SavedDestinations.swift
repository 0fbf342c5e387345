// destination: customers' servers that are used again; added, listed, tested step by step, removed.
import ArgumentParser
import FerryAPI
import RPC

struct DestinationCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "destination", abstract: "Saved destinations: add, list, test, remove.",
    subcommands: [Add.self, All.self, Test.self, Remove.self], defaultSubcommand: All.self)

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Saves or changes a destination.",
      discussion: """
        Example: ferry destination add acme sftp://acme@sftp.example.com:22/in --identity ~/.ssh/acme \
        --host-key SHA256:...
        """)
    @OptionGroup var options: ServerOptions
    @Argument(help: "Name to use in 'ferry deliver'.") var name: String
    @Argument(help: "sftp://USER@HOST:PORT/PATH; ftp:// without TLS, ftpes:// with explicit, ftps:// with implicit TLS.")
    var url: String
    @OptionGroup var login: DestinationLogin
    @Option(help: "Connections at once. Default: 4.") var maxConnections: Int32 = 0
    @OptionGroup var bandwidth: BandwidthOptions

    func run() async throws {
      let credentials = try login.credentials()
      var destination = Destination()
      (destination.name, destination.url, destination.maxConnections) = (name, url, maxConnections)
      destination.bandwidth = try bandwidth.caps()
      try login.apply(to: &destination)
      try await Server.run(options) { [destination] server in
        let saved = try await Transfer.Client(server.channel).saveDestination(
          .with {
            $0.destination = destination
            $0.credentials = credentials
          }, server.signedIn())
        print(options.json ? saved.jsonString() : "Saved destination \(saved.name). Try it with: ferry destination test \(name)")
      }
    }
  }

  struct All: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "Lists saved destinations.", discussion: "Example: ferry destination list")
    @OptionGroup var options: ServerOptions

    func run() async throws {
      try await Server.run(options) { server in
        let list = try await Transfer.Client(server.channel).listDestinations(ListDestinationsRequest(), server.signedIn())
        guard !options.json else { return print(list.jsonString()) }
        Printing.table(
          ["NAME", "URL", "LOGIN", "HOST KEYS"],
          list.destinations.map { destination in
            let login = destination.hasPrivateKey ? "key" : destination.hasPassword ? "password" : "none"
            return [
              destination.name, destination.url, login,
              destination.hostKeys?.fingerprints.joined(separator: ", ") ?? "",
            ]
          })
      }
    }
  }

  struct Test: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Tries a destination step by step: name, connection, host key, login, write, rename, delete.",
      discussion: "Examples: ferry destination test acme; ferry destination test sftp://me@host/in --identity ~/.ssh/id")
    @OptionGroup var options: ServerOptions
    @Argument(help: "A saved destination's name, or a URL.") var destination: String
    @OptionGroup var login: DestinationLogin

    func run() async throws {
      let credentials = try login.credentials()
      var tested = Locations.destination(destination).destination
      try login.apply(to: &tested)
      try await Server.run(options) { [tested] server in
        let result = try await Transfer.Client(server.channel).testDestination(
          .with {
            $0.destination = tested
            $0.credentials = credentials
          }, server.signedIn())
        if options.json {
          print(result.jsonString())
        } else {
          for step in result.steps {
            print("\(step.ok ? "ok  " : "FAIL") \(step.name.padding(to: 12)) \(step.durationUS / 1000) ms  \(step.detail)")
            if let problem = step.problem {
              print("     \(problem.message)")
              if !problem.nextStep.isEmpty { print("     Next: \(problem.nextStep)") }
            }
          }
          if !result.hostKey.isEmpty { print("Host key \(result.hostKey)") }
        }
        if !result.ok { throw ExitCode(1) }
      }
    }
  }

  struct Remove: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Removes a saved destination.", discussion: "Example: ferry destination remove acme")
    @OptionGroup var options: ServerOptions
    @Argument(help: "Its name.") var name: String

    func run() async throws {
      try await Server.run(options) { server in
        _ = try await Transfer.Client(server.channel).deleteDestination(.with { $0.name = name }, server.signedIn())
        print("Removed destination \(name).")
      }
    }
  }
}

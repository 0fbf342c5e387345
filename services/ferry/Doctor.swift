// doctor: what a delivery needs, looked at in its order, and of each thing that is wrong what to do.
import ArgumentParser
import FerryAPI
import FoundationEssentials
import RPC

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks the set-up and says what to mend.",
    discussion: """
      Examples: ferry doctor; ferry doctor --destinations
      Exit code 1 if something has to be mended.
      """)
  @OptionGroup var options: ServerOptions
  @Flag(help: "Test each saved destination too: a small file is written there, renamed and removed.") var destinations = false

  struct Finding: Codable {
    var what: String
    var ok: Bool
    var detail: String
    /// What to do, where something is wrong.
    var next: String?
  }

  func run() async throws {
    let server = try Server(options)
    var findings: [Finding] = []
    func tell(_ finding: Finding) {
      findings.append(finding)
      if options.json { return }
      print("\(finding.ok ? "ok    " : "WRONG ") \(finding.what): \(finding.detail)")
      if let next = finding.next { print("       Next: \(next)") }
    }
    if await reach(server, tell), await session(server, tell) {
      await services(server, tell)
      await connections(server, tell)
      await saved(server, tell)
    }
    await server.channel.close()
    if options.json { print(String(decoding: try JSONEncoder().encode(findings), as: UTF8.self)) }
    if findings.contains(where: { !$0.ok }) { throw ExitCode(1) }
  }

  // MARK: The checks

  private func reach(_ server: Server, _ tell: (Finding) -> Void) async -> Bool {
    await look("FileFerry", tell, next: "start it with 'ferry up', or name its address with --server HOST:PORT") {
      // A call that needs no session.
      _ = try await Transfer.Client(server.channel).getReceiptKey(GetReceiptKeyRequest(), .timeout(Server.callTimeout))
      return "answers at \(server.address)"
    }
  }

  private func session(_ server: Server, _ tell: (Finding) -> Void) async -> Bool {
    guard server.isSignedIn else {
      tell(Finding(what: "session", ok: false, detail: "nobody is signed in", next: "sign in with 'ferry login --user NAME'"))
      return false
    }
    return await look("session", tell, next: "sign in with 'ferry login --user NAME'") {
      let user = try await Auth.Client(server.channel).whoAmI(WhoAmIRequest(), server.signedIn())
      return "signed in as \(user.userName)"
    }
  }

  private func services(_ server: Server, _ tell: (Finding) -> Void) async {
    await attempt("services", tell) {
      let status = try await Gateway.Client(server.channel).getSystemStatus(GetSystemStatusRequest(), server.signedIn())
      for service in status.services {
        let detail = service.serving ? "is serving" : service.detail.isEmpty ? "does not answer" : service.detail
        tell(
          Finding(
            what: service.service, ok: service.serving, detail: detail,
            next: service.serving ? nil : "look into its log in the data folder's 'log'"))
      }
    }
  }

  private func connections(_ server: Server, _ tell: (Finding) -> Void) async {
    let client = StorageBroker.Client(server.channel)
    await attempt("storage connections", tell) {
      let all = try await client.listConnections(ListConnectionsRequest(), server.signedIn()).connections
      if all.isEmpty {
        tell(
          Finding(
            what: "storage connections", ok: false, detail: "there is none",
            next: "add one with 'ferry connection add default --provider s3 ...'"))
      }
      for connection in all {
        await look("connection \(connection.name)", tell, next: "mend it with 'ferry connection add \(connection.name) ...'") {
          let page = try await client.listBuckets(.with { $0.connection = connection.name }, server.signedIn())
          let more = page.nextPageToken.isEmpty ? "" : " and more"
          return "\(connection.provider) answers, \(page.buckets.count)\(more) bucket(s)"
        }
      }
    }
  }

  private func saved(_ server: Server, _ tell: (Finding) -> Void) async {
    let client = Transfer.Client(server.channel)
    await attempt("destinations", tell) {
      let all = try await client.listDestinations(ListDestinationsRequest(), server.signedIn()).destinations
      guard destinations else {
        let detail = all.isEmpty ? "none is saved, which is no fault" : "\(all.count) saved; --destinations tests them"
        return tell(Finding(what: "destinations", ok: true, detail: detail))
      }
      for destination in all {
        let answer = try await client.testDestination(
          .with { $0.destination = .with { $0.name = destination.name } }, server.signedIn())
        let failed = answer.steps.first { !$0.ok }
        tell(
          Finding(
            what: "destination \(destination.name)", ok: answer.ok,
            detail: failed.map { "\($0.name) failed: \($0.problem?.message ?? $0.detail)" } ?? "every step works",
            next: failed?.problem?.nextStep))
      }
    }
  }

  /// Looks that are told one by one; told here only if they could not be had.
  private func attempt(_ what: String, _ tell: (Finding) -> Void, _ looks: () async throws -> Void) async {
    do { try await looks() } catch { tell(Self.finding(what, error, next: "try again in a moment")) }
  }

  /// True if all is well.
  @discardableResult
  private func look(
    _ what: String, _ tell: (Finding) -> Void, next: String, _ check: () async throws -> String
  ) async -> Bool {
    do {
      tell(Finding(what: what, ok: true, detail: try await check()))
      return true
    } catch {
      tell(Self.finding(what, error, next: next))
      return false
    }
  }

  /// The server's own advice counts before ours.
  private static func finding(_ what: String, _ error: any Error, next: String) -> Finding {
    let problem = (error as? RPCError)?.problem
    let advice = problem?.nextStep ?? ""
    return Finding(
      what: what, ok: false, detail: problem?.message ?? (error as? RPCError)?.message ?? "\(error)",
      next: advice.isEmpty ? next : advice)
  }
}

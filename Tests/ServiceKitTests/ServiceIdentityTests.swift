// How a service's own tokens are got, kept and renewed.
import FerryAPI
import FoundationEssentials
import RPC
import Synchronization
import Testing

@testable import ServiceKit

@Suite("Service identity")
struct ServiceIdentityTests {
  private final class Auth: Sendable {
    let asked = Mutex<[IssueServiceTokenRequest]>([])
    let clock = TestClock()

    func identity(_ secretFile: String) -> ServiceIdentity {
      ServiceIdentity(service: "transfer", secretFile: secretFile, now: { self.clock.now }) {
        (request, _) async throws(RPCError) in
        let number = self.asked.withLock { asked in
          asked.append(request)
          return asked.count
        }
        return .with {
          $0.accessToken = "token \(number)"
          $0.expiresAt = Timestamp(unixMilliseconds: self.clock.now + 900_000)
        }
      }
    }
  }

  @Test("a token is kept until a minute before it expires, one for each person")
  func kept() async throws {
    try await withFolder { folder in
      _ = try PrivateFile.readOrMake("\(folder)/s", maximumSize: 100) { Array("the secret\n".utf8) }
      let auth = Auth()
      let identity = auth.identity("\(folder)/s")
      #expect(try await identity.token() == "token 1")
      #expect(try await identity.token() == "token 1")
      #expect(try await identity.token(onBehalfOf: "usr_1") == "token 2")
      auth.clock.advance(milliseconds: 840_000)
      #expect(try await identity.token() == "token 3")
      let asked = auth.asked.withLock { $0 }
      #expect(asked.map(\.onBehalfOf) == ["", "usr_1", ""])
      #expect(asked.allSatisfy { $0.secret == "the secret" && $0.service == "transfer" })
    }
  }

  @Test("calls at the same moment ask for one token")
  func singleFlight() async throws {
    try await withFolder { folder in
      _ = try PrivateFile.readOrMake("\(folder)/s", maximumSize: 100) { Array("the secret".utf8) }
      let auth = Auth()
      let identity = auth.identity("\(folder)/s")
      try await withThrowingTaskGroup(of: String.self) { group in
        for _ in 0..<50 { group.addTask { try await identity.token() } }
        for try await token in group { #expect(token == "token 1") }
      }
      #expect(auth.asked.withLock { $0.count } == 1)
    }
  }

  @Test("a missing secret says what to do")
  func missing() async throws {
    let auth = Auth()
    do throws(RPCError) {
      _ = try await auth.identity("").token()
      Issue.record("a token without a secret")
    } catch {
      #expect(error.code == .failedPrecondition)
      #expect(error.details.first?.decoded(as: Problem.self)?.nextStep == "Start it with --service-secret-file.")
    }
    #expect(auth.asked.withLock { $0.isEmpty })
  }
}

/// A folder of its own that is gone afterwards.
func withFolder(_ body: (String) async throws -> Void) async throws {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("ferry-kit-\(RandomID.make())").path
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  // What is left behind in the system's folder for such things harms nobody.
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try await body(folder)
}

// The access matrix against the contract's own descriptors, and row by row against who may.
import FerryAPI
import Testing

@testable import ServiceKit

private let everyone: [(String, Caller)] = [
  ("requester", person(.requester)), ("approver", person(.approver)), ("operator", person(.operator)),
  ("auditor", person(.auditor)), ("admin", person(.admin)),
  ("no role", Caller(id: "usr_1", name: "Ada", roles: [])),
  ("transfer", service("transfer")), ("gateway", service("gateway")), ("ticketing", service("ticketing")),
  ("transfer for requester", person(.requester, actor: "transfer")),
  ("notification for requester", person(.requester, actor: "notification")),
  ("transfer for admin", person(.admin, actor: "transfer")),
]

private func person(_ role: Role, actor: String? = nil) -> Caller {
  Caller(id: "usr_1", name: "Ada", roles: [role], actor: actor)
}

private func service(_ name: String) -> Caller { Caller(id: "service:\(name)", name: name, roles: []) }

@Suite("Access matrix")
struct AccessMatrixTests {
  @Test("it names every method of every service, and no other")
  func complete() {
    let declared = Set(
      FerryFiles.all.flatMap(\.services).flatMap { service in
        service.methods.map { "/\(service.fullName)/\($0.name)" }
      })
    #expect(declared.count >= 40)
    #expect(declared.subtracting(AccessMatrix.table.keys) == [], "not in the matrix")
    #expect(Set(AccessMatrix.table.keys).subtracting(declared) == [], "not in the contract")
  }

  @Test("a path that is not in it is for nobody, the health service for all")
  func unknown() {
    #expect(AccessMatrix.access(to: "/fileferry.v1.Auth/Nothing") == nil)
    #expect(AccessMatrix.access(to: "/grpc.health.v1.Health/Check") == .public)
    #expect(AccessMatrix.access(to: "/grpc.health.v1.HealthX/Check") == nil)
    #expect(AccessMatrix.access(to: "") == nil)
  }

  private static let people = ["requester", "approver", "operator", "auditor", "admin", "no role"]
  private static let acting = ["transfer for requester", "notification for requester", "transfer for admin"]
  private static let steering = ["requester", "operator", "admin"]
  private static let transfer = ["transfer", "transfer for requester", "transfer for admin"]

  private typealias Row = (method: String, admitted: [String])
  private static let all = people + acting + ["transfer", "gateway", "ticketing"]
  private static let rows: [Row] = [
    ("Auth/SignIn", all), ("Auth/BeginSingleSignOn", all), ("Auth/CompleteSingleSignOn", all),
    ("Auth/SignOut", people), ("Auth/ChangePassword", people), ("Auth/WhoAmI", people + acting),
    ("Auth/CreateUser", ["admin"]), ("Auth/UpdateUser", ["admin"]), ("Auth/ListUsers", ["admin"]),
    ("Ticketing/OpenTickets", transfer), ("Ticketing/AddWorkNote", transfer), ("Ticketing/CloseTickets", transfer),
    ("Ticketing/GetTicket", people + acting), ("Ticketing/ListTickets", people + acting),
    ("StorageBroker/ListProviders", steering + ["auditor", "transfer"] + acting),
    ("StorageBroker/ListConnections", steering + ["auditor", "transfer"] + acting),
    ("StorageBroker/ListObjects", steering + ["transfer"] + acting),
    ("StorageBroker/SaveConnection", ["admin", "transfer for admin"]),
    ("StorageBroker/GrantRead", transfer),
    ("Transfer/StartDelivery", steering + acting), ("Transfer/StartDeliveries", steering + acting),
    ("Transfer/GetDelivery", people + acting),
    ("Transfer/PauseDelivery", steering + acting), ("Transfer/ResumeDelivery", steering + acting),
    ("Transfer/CancelDelivery", steering + acting),
    ("Transfer/GetReceiptKey", all),
    ("Transfer/SaveDestination", ["operator", "admin", "transfer for admin"]),
    ("Transfer/TestDestination", steering + acting), ("Transfer/SaveSchedule", steering + acting),
    ("Notifications/Notify", ["transfer", "gateway", "ticketing"] + acting),
    ("Notifications/ListNotifications", people + acting),
    ("Assist/DescribeTicket", steering + ["transfer", "gateway"] + acting),
    ("Gateway/GetDashboard", people + acting),
  ]

  @Test("who may call", arguments: rows.indices)
  func table(index: Int) throws {
    let (method, admitted) = Self.rows[index]
    let access = try #require(AccessMatrix.access(to: "/fileferry.v1.\(method)"))
    for (name, caller) in everyone {
      #expect(access.admits(caller) == admitted.contains(name), "\(method) by \(name)")
    }
    #expect(access.admits(nil) == (access == .public), "\(method) by a stranger")
  }

  @Test("roles have the names of the contract in tokens")
  func claims() {
    #expect(Role.operator.claim == "operator")
    #expect(Role(claim: "auditor") == .auditor)
    #expect(Role(claim: "unspecified") == nil)
    #expect(Role.unspecified.claim == nil)
    #expect(Role(claim: "root") == nil)
  }
}

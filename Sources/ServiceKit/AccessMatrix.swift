// Who may call which method, of all services, in one table. Finer rules (only one's own tickets) are the services' own.
// A method that is not in here is denied; a test holds the table against the descriptors.
import FerryAPI

/// Who may: any of the rules suffices.
public struct Access: Sendable, Equatable {
  public private(set) var isPublic = false
  /// Every signed-in person, whatever their roles.
  public private(set) var anyPerson = false
  public private(set) var roles: Set<Role> = []
  /// Services, for themselves or for whomever they act.
  public private(set) var services: Set<String> = []
  public private(set) var anyService = false
  /// The person calls in person: a service that acts for them is refused.
  public private(set) var onlyInPerson = false

  public static let `public` = Access { $0.isPublic = true }
  public static let signedIn = Access { $0.anyPerson = true }
  public static let services = Access { $0.anyService = true }
  public static func roles(_ roles: Set<Role>) -> Access { Access { $0.roles = roles } }
  public static func services(_ names: Set<String>) -> Access { Access { $0.services = names } }

  private init(_ fill: (inout Access) -> Void) { fill(&self) }

  public func or(_ other: Access) -> Access {
    Access {
      $0.isPublic = isPublic || other.isPublic
      $0.anyPerson = anyPerson || other.anyPerson
      $0.roles = roles.union(other.roles)
      $0.services = services.union(other.services)
      $0.anyService = anyService || other.anyService
      $0.onlyInPerson = onlyInPerson || other.onlyInPerson
    }
  }

  public var inPerson: Access {
    var copy = self
    copy.onlyInPerson = true
    return copy
  }

  public func admits(_ caller: Caller?) -> Bool {
    admits(verified: caller.map(VerifiedCaller.init))
  }

  /// Takes the object, because a `Caller` has eight strings that would be held for the question.
  func admits(verified caller: VerifiedCaller?) -> Bool {
    if isPublic { return true }
    guard let caller else { return false }
    if let service = caller.caller.service, anyService || services.contains(service) { return true }
    if caller.caller.isService || (onlyInPerson && caller.caller.actor != nil) { return false }
    return anyPerson || !roles.isDisjoint(with: caller.caller.roles)
  }

  /// For the sentence a refused caller reads: "role operator or admin".
  var needs: String {
    var parts: [String] = []
    if anyPerson { parts.append("a signed-in person") }
    if !roles.isEmpty { parts.append("the role " + Access.list(roles.compactMap(\.claim))) }
    if anyService { parts.append("a service") }
    if !services.isEmpty { parts.append("the service " + Access.list(Array(services))) }
    return parts.joined(separator: ", or ") + (onlyInPerson ? ", in person" : "")
  }

  private static func list(_ names: [String]) -> String { names.sorted().joined(separator: " or ") }
}

public enum AccessMatrix {
  private static let steering: Set<Role> = [.requester, .operator, .admin]
  private static let browsing = Access.roles(steering).or(.services(["transfer"]))
  private static let seeing = browsing.or(.roles([.auditor]))
  private static let assisted = Access.roles(steering).or(.services(["transfer", "gateway"]))

  /// By path, "/fileferry.v1.Auth/SignIn".
  public static let table: [String: Access] = services.reduce(into: [:]) { table, service in
    for (method, access) in service.value { table["/fileferry.v1.\(service.key)/\(method)"] = access }
  }

  private static let services: [String: [String: Access]] = [
    "Auth": [
      "SignIn": .public, "Refresh": .public, "GetKeys": .public, "IssueServiceToken": .public,
      "ListIdentityProviders": .public, "BeginSingleSignOn": .public, "CompleteSingleSignOn": .public,
      "SignOut": .signedIn.inPerson, "WhoAmI": .signedIn, "ChangePassword": .signedIn.inPerson,
      "CreateUser": .roles([.admin]).inPerson, "UpdateUser": .roles([.admin]).inPerson,
      "ListUsers": .roles([.admin]).inPerson,
    ],
    "Ticketing": [
      "OpenTickets": .services(["transfer"]), "AddWorkNote": .services(["transfer"]),
      "CloseTickets": .services(["transfer"]),
      "GetTicket": .signedIn, "GetTicketPair": .signedIn, "ListTickets": .signedIn,
    ],
    "StorageBroker": [
      "ListProviders": seeing, "ListConnections": seeing,
      "ListBuckets": browsing, "ListObjects": browsing, "StatObject": browsing,
      "SaveConnection": .roles([.admin]), "DeleteConnection": .roles([.admin]),
      "GrantRead": .services(["transfer"]),
    ],
    "Transfer": [
      "PlanDelivery": .roles(steering), "StartDelivery": .roles(steering), "StartDeliveries": .roles(steering),
      "GetDelivery": .signedIn, "ListDeliveries": .signedIn, "ListDeliveryFiles": .signedIn, "ListChunks": .signedIn,
      "WatchDelivery": .signedIn, "GetReceipt": .signedIn, "GetReceiptPart": .signedIn,
      "PauseDelivery": .roles(steering), "ResumeDelivery": .roles(steering), "CancelDelivery": .roles(steering),
      "RetryDelivery": .roles(steering),
      "GetReceiptKey": .public,
      "SaveDestination": .roles([.admin, .operator]), "DeleteDestination": .roles([.admin, .operator]),
      "ListDestinations": .signedIn, "TestDestination": .roles(steering),
      "ListSchedules": .signedIn, "SaveSchedule": .roles(steering), "DeleteSchedule": .roles(steering),
      "RunSchedule": .roles(steering),
    ],
    "Notifications": [
      "Notify": .services,
      "ListNotifications": .signedIn, "MarkRead": .signedIn, "WatchNotifications": .signedIn, "ListChannels": .signedIn,
    ],
    "Assist": [
      "DescribeTicket": assisted,
      "AnalyseFiles": assisted,
      "Recommend": assisted,
      "ComposeCompletion": assisted,
      "Chat": .signedIn,
    ],
    "Gateway": ["GetJourney": .signedIn, "GetDashboard": .signedIn, "GetSystemStatus": .signedIn],
  ]

  /// gRPC's own services, which every server has and which say nothing of anybody's data.
  private static let openServices = [
    "/grpc.health.v1.Health/", "/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/",
  ]

  /// Nil: nobody may.
  public static func access(to path: String) -> Access? {
    if let access = table[path] { return access }
    return openServices.contains { path.hasPrefix($0) } ? .public : nil
  }
}

extension Role {
  /// As in a token's `roles`: "requester". Nil for a role without a name here.
  public var claim: String? {
    guard rawValue != 0, let name = Self.descriptor.name(of: rawValue) else { return nil }
    return name.dropFirst("ROLE_".count).lowercased()
  }

  public init?(claim: String) {
    guard let number = Self.descriptor.number(of: "ROLE_" + claim.uppercased()), number != 0 else { return nil }
    self.init(rawValue: number)
  }
}

// swift-tools-version: 6.2
// FileFerry: delivers files from cloud storage to customers' own servers, with a ticket, an audit trail and a proof.
// Targets stand in the order of the house: an arrow only ever points up this list. Services never depend on each other.
import PackageDescription

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioSSL: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")
let nioTLS: Target.Dependency = .product(name: "NIOTLS", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let cryptoExtras: Target.Dependency = .product(name: "CryptoExtras", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let jwt: Target.Dependency = .product(name: "JWTKit", package: "jwt-kit")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let x509: Target.Dependency = .product(name: "X509", package: "swift-certificates")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

/// Relative relocations in packed form, and only the symbols that are needed: 4 MB less resident memory a service. What
/// Swift's runtime needs of the C++ library goes into the program, instead of all of it beside it: another megabyte.
let slim: [LinkerSetting] = [
  .unsafeFlags(
    ["-use-ld=lld", "-Xlinker", "-z", "-Xlinker", "pack-relative-relocs", "-Xlinker", "--no-export-dynamic",
     "-Xlinker", "--icf=safe", "-L\(Context.packageDirectory)/scripts/lib/static-cxx"],
    .when(platforms: [.linux], configuration: .release))
]

/// Libraries of the system find these functions of ours before libcrypto's: Sources/Transport/SSHKeystream.swift.
let standsIn: [LinkerSetting] = [
  .unsafeFlags(
    ["-Xlinker", "--export-dynamic-symbol=EVP_Cipher", "-Xlinker", "--export-dynamic-symbol=EVP_CIPHER_CTX_free"],
    .when(platforms: [.linux]))
]

/// Async functions stay where their caller is (SE-0461): each hop to another executor and back, of which a call through all
/// interceptors would make ten, costs as much as an interceptor itself.
let stays: [SwiftSetting] = [.enableUpcomingFeature("NonisolatedNonsendingByDefault")]

/// A small call is a third faster without the checks for overlapping accesses to a class's fields, of which it makes a hundred.
/// Debug programs, which all tests run with, keep them.
let hot: [SwiftSetting] = [
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))
]

let package = Package(
  name: "FileFerry",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "ferry", targets: ["FerryCommand"]),
    .executable(name: "ferry-auth", targets: ["AuthService"]),
    .executable(name: "ferry-ticketing", targets: ["TicketingService"]),
    .executable(name: "ferry-storage-broker", targets: ["StorageBrokerService"]),
    .executable(name: "ferry-transfer", targets: ["TransferService"]),
    .executable(name: "ferry-notification", targets: ["NotificationService"]),
    .executable(name: "ferry-assist", targets: ["AssistService"]),
    .executable(name: "ferry-gateway", targets: ["GatewayService"]),
    .executable(name: "codec-peer", targets: ["CodecPeer"]),
    .executable(name: "rpc-interop-server", targets: ["InteropServer"]),
    .executable(name: "rpc-interop-client", targets: ["InteropClient"]),
    .executable(name: "rpc-fuzz", targets: ["Fuzz"]),
    .executable(name: "rpc-bench-server", targets: ["BenchServer"]),
    .executable(name: "rpc-bench-client", targets: ["BenchClient"]),
    // For the package of scripts/benches/codecs.
    .library(name: "FerryAPI", targets: ["FerryAPI"]),
    .library(name: "ProtoWire", targets: ["ProtoWire"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/vapor/jwt-kit", from: "5.7.1"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    // C libraries of the system.
    .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CMalloc"),
    .systemLibrary(name: "CTaskLocals"),
    .systemLibrary(name: "CSSH2", pkgConfig: "libssh2", providers: [.apt(["libssh2-1-dev"])]),

    // Libraries, lowest first.
    .target(name: "ProtoWire", dependencies: [nioCore]),
    .target(name: "HTTP2", dependencies: ["CNghttp2", nioCore, nioPosix], swiftSettings: hot),
    .target(
      name: "RPC", dependencies: ["ProtoWire", "HTTP2", "CZlib", nioCore, nioPosix, nioSSL, nioTLS],
      swiftSettings: hot + stays),
    .target(name: "FerryAPI", dependencies: ["ProtoWire", "RPC"]),
    .target(name: "Transport", dependencies: ["CCurl", "CSSH2", nioCore], linkerSettings: standsIn),
    .target(name: "Compressors", dependencies: ["CZlib", "CZstd", nioCore]),
    .target(name: "CloudsAWS", dependencies: ["Transport", crypto], path: "Sources/Clouds/AWS"),
    .target(name: "CloudsAzure", dependencies: ["Transport", crypto], path: "Sources/Clouds/Azure"),
    .target(name: "ObjectStores", dependencies: ["Transport", "CloudsAWS", "CloudsAzure", nioCore]),
    .target(name: "Destinations", dependencies: ["Transport", crypto, nioCore]),
    .target(name: "DocumentStore", dependencies: [grdb, nioCore]),
    .target(name: "Workflow", dependencies: ["DocumentStore"]),
    .target(
      name: "ServiceKit",
      dependencies: ["FerryAPI", "RPC", "DocumentStore", "CTaskLocals", jwt, crypto, logging, arguments, nioCore],
      swiftSettings: stays),

    // Services: one executable each, one folder each.
    .executableTarget(
      name: "AuthService", dependencies: ["ServiceKit", jwt, crypto, cryptoExtras, asyncHTTPClient, nioCore, nioSSL], path: "services/auth",
      linkerSettings: slim),
    .executableTarget(
      name: "TicketingService", dependencies: ["ServiceKit"], path: "services/ticketing", linkerSettings: slim),
    .executableTarget(
      name: "StorageBrokerService", dependencies: ["ServiceKit", "ObjectStores"], path: "services/storage-broker",
      linkerSettings: slim),
    .executableTarget(
      name: "TransferService",
      dependencies: [
        "ServiceKit", "Workflow", "Destinations", "Transport", "Compressors", "CMalloc", crypto, logging, nioCore,
      ],
      path: "services/transfer", resources: [.embedInCode("prices.json")], linkerSettings: slim),
    .executableTarget(
      name: "NotificationService", dependencies: ["ServiceKit", "Transport"], path: "services/notification",
      linkerSettings: slim),
    .executableTarget(
      name: "AssistService", dependencies: ["ServiceKit"], path: "services/assist", linkerSettings: slim),
    .executableTarget(
      name: "GatewayService",
      dependencies: [
        "ServiceKit", hummingbird, nioCore, .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      path: "services/gateway", resources: [.copy("web")], linkerSettings: slim),
    .executableTarget(
      name: "FerryCommand", dependencies: ["FerryAPI", "RPC", crypto, logging, arguments, nioCore, nioPosix],
      path: "services/ferry",
      linkerSettings: slim),

    // Tests: one folder a library or service; Tests/Peers holds other people's clients and servers.
    .executableTarget(name: "CodecPeer", dependencies: ["FerryAPI"], path: "Tests/Peers/CodecPeer"),
    .target(name: "InteropMessages", dependencies: ["ProtoWire", "RPC"], path: "Tests/Peers/InteropMessages"),
    .executableTarget(
      name: "InteropServer", dependencies: ["InteropMessages", "RPC", arguments, crypto, x509],
      path: "Tests/Peers/InteropServer"),
    .executableTarget(
      name: "InteropClient", dependencies: ["InteropMessages", "RPC", arguments], path: "Tests/Peers/InteropClient"),
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        "CMalloc", "FerryAPI", "ProtoWire", "HTTP2", arguments, nioCore,
        .product(name: "NIOEmbedded", package: "swift-nio"),
      ],
      path: "Tests/Fuzz"),
    .target(name: "BenchEcho", dependencies: ["ProtoWire", "RPC"], path: "Tests/Bench/Echo"),
    .executableTarget(
      name: "BenchServer",
      dependencies: ["BenchEcho", "RPC", "ServiceKit", "DocumentStore", arguments, crypto, logging, nioPosix],
      path: "Tests/Bench/Server", linkerSettings: slim),
    .executableTarget(
      name: "BenchClient", dependencies: ["BenchEcho", "RPC", arguments, nioCore, nioPosix], path: "Tests/Bench/Client",
      linkerSettings: slim),
    .testTarget(name: "ProtoWireTests", dependencies: ["ProtoWire"]),
    .testTarget(
      name: "HTTP2Tests", dependencies: ["HTTP2", "CNghttp2", nioCore, .product(name: "NIOEmbedded", package: "swift-nio")]),
    .testTarget(
      name: "RPCTests", dependencies: ["RPC", "HTTP2", "ProtoWire", "InteropMessages", nioCore, nioPosix]),
    .testTarget(name: "FerryAPITests", dependencies: ["FerryAPI"]),
    .testTarget(name: "TransportTests", dependencies: ["Transport"]),
    .testTarget(name: "CompressorsTests", dependencies: ["Compressors", nioCore]),
    .testTarget(name: "ObjectStoresTests", dependencies: ["ObjectStores", "CloudsAWS", "CloudsAzure"]),
    .testTarget(name: "DestinationsTests", dependencies: ["Destinations"]),
    .testTarget(name: "DocumentStoreTests", dependencies: ["DocumentStore"]),
    .testTarget(name: "WorkflowTests", dependencies: ["Workflow"]),
    .testTarget(name: "ServiceKitTests", dependencies: ["ServiceKit"]),
    .testTarget(name: "AuthServiceTests", dependencies: ["AuthService"]),
    .testTarget(name: "TicketingServiceTests", dependencies: ["TicketingService"]),
    .testTarget(name: "TransferServiceTests", dependencies: ["TransferService"]),
    .testTarget(name: "NotificationServiceTests", dependencies: ["NotificationService"]),
    .testTarget(name: "AssistServiceTests", dependencies: ["AssistService"]),
    .testTarget(name: "GatewayServiceTests", dependencies: ["GatewayService"]),
    .testTarget(name: "FerryCommandTests", dependencies: ["FerryCommand"]),
  ],
  swiftLanguageModes: [.v6]
)

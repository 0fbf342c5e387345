// swift-tools-version: 6.2
// Measures FerryAPI's codecs against SwiftProtobuf on the same messages. It is a package of its own so that FileFerry
// never depends on SwiftProtobuf. `scripts/bench codecs` writes SwiftProtobuf's classes before it builds this.
import PackageDescription

let swiftProtobuf: Target.Dependency = .product(name: "SwiftProtobuf", package: "swift-protobuf")

let package = Package(
  name: "CodecBench",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "FileFerry", path: "../../.."),
    .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
  ],
  targets: [
    .target(name: "CMeasure"),
    // By protoc-gen-swift from proto/fileferry/v1; never committed.
    .target(name: "PeerMessages", dependencies: [swiftProtobuf], path: ".build/generated"),
    .executableTarget(
      name: "CodecBench",
      dependencies: [
        "CMeasure", "PeerMessages", swiftProtobuf, .product(name: "FerryAPI", package: "FileFerry"),
        .product(name: "ProtoWire", package: "FileFerry"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)

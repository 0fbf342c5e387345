// The .proto files that this library speaks, as reflection needs them. Each is declared in the Swift file of its name.
import ProtoWire

/// One descriptor a .proto file. `runService` takes those that a service serves.
public enum FerryFiles {
  /// All of fileferry.v1, each after the files that it imports.
  public static let all: [FileDescriptor] = [
    common, auth, ticketing, storageBroker, transfer, notification, assist, gateway,
  ]

  static let package = "fileferry.v1"
}

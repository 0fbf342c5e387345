// Every message type that the services' methods or other messages mention, found by walking the descriptors. A message
// of a .proto file that is not reached this way shows as missing in test_codecs.py.
import FerryAPI
import ProtoWire

enum KnownMessages {
  static let all: [any Message.Type] = {
    var found: [String: any Message.Type] = [:]
    func visit(_ type: any Message.Type) {
      guard found[type.descriptor.fullName] == nil else { return }
      found[type.descriptor.fullName] = type
      for field in type.descriptor.fields {
        if case .message(let nested) = field.kind { visit(nested) }
      }
    }
    for file in FerryFiles.all {
      for service in file.services {
        for method in service.methods {
          visit(method.request)
          visit(method.response)
        }
      }
    }
    return found.values.sorted { $0.descriptor.fullName < $1.descriptor.fullName }
  }()
}

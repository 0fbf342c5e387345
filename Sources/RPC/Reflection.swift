// gRPC's server reflection, versions 1 and 1alpha: callers without the .proto files learn the services, methods and messages
// from the server itself (grpc/grpc doc/server-reflection.md).
import ProtoWire

extension Router {
  /// Answers reflection for these files and what they import. Call it once, after all handlers.
  public mutating func enableReflection(_ files: [FileDescriptor]) {
    let catalogue = ReflectionCatalogue(files + [Health.file])
    let names = Set(services + [Health.name])
    for version in ["v1", "v1alpha"] {
      let service = "grpc.reflection.\(version).ServerReflection"
      let method = BidirectionalMethod<ReflectionRequest, ReflectionResponse>(service, "ServerReflectionInfo")
      handle(method) {
        (
          requests: RequestStream<ReflectionRequest>, _: CallContext, responses: ResponseWriter<ReflectionResponse>
        ) async throws(RPCError) in
        let iterator = requests.makeAsyncIterator()
        while let request = try await iterator.next() {
          try await responses.send(catalogue.answer(request, services: names))
        }
      }
    }
  }
}

/// The files that a server can describe, and where each symbol stands.
struct ReflectionCatalogue: Sendable {
  private var files: [String: FileDescriptor] = [:]
  private var fileOfSymbol: [String: String] = [:]

  init(_ roots: [FileDescriptor]) {
    for file in roots { add(file) }
  }

  private mutating func add(_ file: FileDescriptor) {
    guard files[file.name] == nil else { return }
    files[file.name] = file
    for message in file.messages { add(message, of: file) }
    for value in file.enums { fileOfSymbol[value.fullName] = file.name }
    for service in file.services {
      fileOfSymbol[service.fullName] = file.name
      for method in service.methods { fileOfSymbol[service.fullName + "." + method.name] = file.name }
    }
    for dependency in file.dependencies { add(dependency) }
  }

  private mutating func add(_ message: MessageDescriptor, of file: FileDescriptor) {
    fileOfSymbol[message.fullName] = file.name
    for field in message.fields { fileOfSymbol[message.fullName + "." + field.name] = file.name }
    for nested in message.nestedEnums { fileOfSymbol[nested.fullName] = file.name }
    for nested in message.nestedMessages { add(nested, of: file) }
  }

  func answer(_ request: ReflectionRequest, services: Set<String>) -> ReflectionResponse {
    var response = ReflectionResponse()
    response.validHost = request.host
    response.originalRequest = request
    switch request.query {
    case .listServices:
      response.services = .with { $0.service = services.sorted().map { name in .with { $0.name = name } } }
    case .fileByFilename(let name):
      describe(name, in: &response, missing: "no file \(name) is known here")
    case .fileContainingSymbol(let symbol):
      describe(fileOfSymbol[symbol], in: &response, missing: "no symbol \(symbol) is known here")
    case .fileContainingExtension, .allExtensionNumbersOfType:
      // proto3 files have no extensions.
      fail(&response, .notFound, "no extension is known here")
    case nil:
      fail(&response, .invalidArgument, "the request asks for nothing")
    }
    return response
  }

  private func describe(_ name: String?, in response: inout ReflectionResponse, missing: String) {
    guard let name, let file = files[name] else {
      fail(&response, .notFound, missing)
      return
    }
    var names: [String] = []
    collect(file, into: &names)
    response.files = .with { $0.fileDescriptorProto = names.compactMap { files[$0]?.fileDescriptorProto() } }
  }

  private func collect(_ file: FileDescriptor, into names: inout [String]) {
    guard !names.contains(file.name) else { return }
    names.append(file.name)
    for dependency in file.dependencies { collect(dependency, into: &names) }
  }

  private func fail(_ response: inout ReflectionResponse, _ code: StatusCode, _ message: String) {
    response.error = .with {
      $0.errorCode = Int32(code.rawValue)
      $0.errorMessage = message
    }
  }
}

// The web page's files: read once into memory, served by exact name. Nothing of a request ever becomes a file path, so
// there is no way out of the folder.
import FoundationEssentials
import Hummingbird

struct StaticFiles: Sendable {
  struct File: Sendable {
    let content: ByteBuffer
    let type: String
    let etag: EntityTag
  }

  enum Failure: Error, CustomStringConvertible {
    case noFolder(String)
    case tooMuch(String)

    var description: String {
      switch self {
      case .noFolder(let path): "The web page's folder \(path) has no index.html. Give its place with --web-root."
      case .tooMuch(let path):
        "The folder \(path) holds more than \(maxFiles) files or \(maxBytes) bytes, so it is not the web page's. "
          + "Give the right one with --web-root."
      }
    }
  }

  static let maxFiles = 200
  static let maxBytes = 8 << 20
  static let maxDepth = 4

  private let files: [String: File]

  /// Reads a folder with its folders; hidden files, links and files of unknown types are left out.
  init(root: String) throws {
    var found: [String: File] = [:]
    var bytes = 0
    try Self.read(root, below: "/", depth: 0) { path, data in
      guard let type = Self.type(of: path) else { return }
      bytes += data.count
      guard found.count < Self.maxFiles, bytes <= Self.maxBytes else { throw Failure.tooMuch(root) }
      found[path] = File(content: ByteBuffer(bytes: data), type: type, etag: EntityTag(of: data))
    }
    guard let index = found["/index.html"] else { throw Failure.noFolder(root) }
    found["/"] = index
    files = found
  }

  private static func read(
    _ folder: String, below prefix: String, depth: Int, _ add: (String, Data) throws -> Void
  ) throws {
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
      // Whatever the system's reason, the cure is the same: name the right folder.
      throw Failure.noFolder(folder)
    }
    for name in names.sorted() where !name.hasPrefix(".") {
      let path = folder + "/" + name
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      switch attributes[.type] as? FileAttributeType {
      case .typeRegular?: try add(prefix + name, try Data(contentsOf: URL(filePath: path)))
      case .typeDirectory? where depth < maxDepth: try read(path, below: prefix + name + "/", depth: depth + 1, add)
      default: break
      }
    }
  }

  /// Next to the executable, where the build puts a target's resources.
  static func installedRoot() throws -> String {
    let executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let folder = executable.prefix(upTo: executable.lastIndex(of: "/") ?? executable.startIndex)
    return folder + "/FileFerry_GatewayService.resources/web"
  }

  subscript(_ path: String) -> File? { files[path] }

  var paths: [String] { files.keys.sorted() }

  /// The file of a path; 304 if the reader has it already, nil if there is none.
  func response(_ path: String, _ request: HTTPFields) -> Response? {
    guard let file = files[path] else { return nil }
    var headers: HTTPFields = [.eTag: file.etag.description, .cacheControl: "no-cache"]
    if file.etag.isKnown(to: request) { return Response(status: .notModified, headers: headers) }
    headers[.contentType] = file.type
    return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: file.content))
  }

  static func type(of path: String) -> String? {
    switch path.split(separator: ".").last {
    case "html": "text/html; charset=utf-8"
    case "js": "text/javascript; charset=utf-8"
    case "css": "text/css; charset=utf-8"
    case "svg": "image/svg+xml"
    case "png": "image/png"
    case "ico": "image/vnd.microsoft.icon"
    case "txt": "text/plain; charset=utf-8"
    default: nil
    }
  }
}

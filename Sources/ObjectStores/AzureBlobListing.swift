// Azure's two list answers as pages ("List Containers" and "List Blobs", Blob Storage REST API). An answer that lacks
// what it must have is an error, never a shorter list.
import CloudsAzure
import FoundationEssentials
import NIOCore
import Transport

enum AzureBlobListing {
  static func containers(_ response: HTTPResponse) throws(ObjectStoreError) -> Page<Bucket> {
    let root = try parse(response)
    guard let list = root["Containers"] else { throw broken("it has no Containers") }
    var buckets: [Bucket] = []
    for element in list.all("Container") { buckets.append(Bucket(name: try name(of: element))) }
    return Page(items: buckets, next: next(root))
  }

  /// Names and prefixes merged in the order of their bytes. A page may be empty and still not the last.
  static func blobs(_ response: HTTPResponse, container: String) throws(ObjectStoreError) -> Page<ObjectEntry> {
    let root = try parse(response)
    guard let list = root["Blobs"] else { throw broken("it has no Blobs") }
    var entries: [(key: String, entry: ObjectEntry)] = []
    for element in list.all("Blob") {
      let key = try name(of: element)
      guard let properties = element["Properties"] else { throw broken("a Blob has no Properties") }
      // An account with a hierarchical namespace lists its directories as blobs too.
      if properties["ResourceType"]?.text == "directory" { continue }
      guard let size = Int64(properties["Content-Length"]?.text ?? ""), size >= 0 else {
        throw broken("a Content-Length is no number")
      }
      guard let etag = nonEmpty(properties["Etag"]?.text) else { throw broken("a Blob has no Etag") }
      let info = ObjectInfo(
        bucket: container, key: key, size: size,
        // Without quotes here, with them in headers.
        etag: etag.hasPrefix("\"") ? etag : "\"\(etag)\"", modifiedAt: date(properties["Last-Modified"]?.text),
        storageClass: properties["AccessTier"]?.text ?? "")
      entries.append((key, .object(info)))
    }
    for element in list.all("BlobPrefix") {
      let prefix = try name(of: element)
      entries.append((prefix, .commonPrefix(prefix)))
    }
    let ordered = entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map(\.entry)
    return Page(items: ordered, next: next(root))
  }

  private static func parse(_ response: HTTPResponse) throws(ObjectStoreError) -> XMLElement {
    let root: XMLElement
    do throws(XMLError) {
      root = try XMLElement(parsing: Array(response.body.readableBytesView))
    } catch {
      throw broken(error.description)
    }
    guard root.name == "EnumerationResults" else {
      throw broken("it is <\(root.name.prefix(64))> where <EnumerationResults> was asked for")
    }
    return root
  }

  /// Percent-encoded where it has characters that XML can't hold, and then it says so.
  private static func name(of element: XMLElement) throws(ObjectStoreError) -> String {
    guard let name = element["Name"], !name.text.isEmpty else { throw broken("a \(element.name) has no Name") }
    guard name.attributes["Encoded"] == "true" else { return name.text }
    guard let decoded = AzureURIEncoding.decode(name.text) else { throw broken("a Name is not percent-encoded UTF-8") }
    return decoded
  }

  private static func next(_ root: XMLElement) -> PageToken? { nonEmpty(root["NextMarker"]?.text).map(PageToken.init) }

  private static func nonEmpty(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }

  private static func date(_ text: String?) -> Date? {
    text.flatMap(HTTPDate.secondsSince1970).map { Date(timeIntervalSince1970: Double($0)) }
  }

  static func broken(_ why: String) -> ObjectStoreError {
    ObjectStoreError(
      .fatal, provider: AzureBlobObjectStore.provider, service: AzureBlobObjectStore.service,
      message: "The storage's answer can't be read: \(why).",
      nextStep: "Check that the endpoint is that of Azure Blob Storage.")
  }
}

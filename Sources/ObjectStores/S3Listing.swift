// S3's two list answers as pages ("ListBuckets" and "ListObjectsV2", Amazon S3 API Reference). An answer that lacks
// what it must have is an error, never a shorter list.
import CloudsAWS
import FoundationEssentials
import NIOCore
import Transport

enum S3Listing {
  static func buckets(_ response: HTTPResponse) throws(ObjectStoreError) -> (buckets: [Bucket], next: String?) {
    let root = try parse(response, root: "ListAllMyBucketsResult")
    var buckets: [Bucket] = []
    for element in root["Buckets"]?.all("Bucket") ?? [] {
      buckets.append(
        Bucket(
          name: try required("Name", of: element), createdAt: date(element["CreationDate"]?.text),
          region: element["BucketRegion"]?.text ?? ""))
    }
    return (buckets, nonEmpty(root["ContinuationToken"]?.text))
  }

  /// Keys and common prefixes merged in the order of their bytes.
  static func objects(_ response: HTTPResponse, bucket: String) throws(ObjectStoreError) -> Page<ObjectEntry> {
    let root = try parse(response, root: "ListBucketResult")
    // A server that doesn't know the encoding answers without it, and then a "+" is a "+".
    let isEncoded = root["EncodingType"]?.text == "url"
    var entries: [(key: String, entry: ObjectEntry)] = []
    for element in root.all("Contents") {
      let key = try decoded(try required("Key", of: element), isEncoded)
      guard let size = Int64(try required("Size", of: element)), size >= 0 else { throw broken("a Size is no number") }
      let info = ObjectInfo(
        bucket: bucket, key: key, size: size, etag: EntityTag.quoted(element["ETag"]?.text ?? ""),
        modifiedAt: date(element["LastModified"]?.text), storageClass: element["StorageClass"]?.text ?? "")
      entries.append((key, .object(info)))
    }
    for element in root.all("CommonPrefixes") {
      let prefix = try decoded(try required("Prefix", of: element), isEncoded)
      entries.append((prefix, .commonPrefix(prefix)))
    }
    let token = nonEmpty(root["NextContinuationToken"]?.text)
    guard root["IsTruncated"]?.text != "true" || token != nil else { throw broken("the page has no next token") }
    let ordered = entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map(\.entry)
    return Page(items: ordered, next: root["IsTruncated"]?.text == "true" ? token.map(PageToken.init) : nil)
  }

  private static func parse(_ response: HTTPResponse, root name: String) throws(ObjectStoreError) -> XMLElement {
    let root: XMLElement
    do throws(XMLError) {
      root = try XMLElement(parsing: Array(response.body.readableBytesView))
    } catch {
      throw broken(error.description)
    }
    guard root.name == name else { throw broken("it is <\(root.name.prefix(64))> where <\(name)> was asked for") }
    return root
  }

  private static func required(_ name: String, of element: XMLElement) throws(ObjectStoreError) -> String {
    guard let text = nonEmpty(element[name]?.text) else { throw broken("a \(element.name) has no \(name)") }
    return text
  }

  private static func decoded(_ text: String, _ isEncoded: Bool) throws(ObjectStoreError) -> String {
    guard isEncoded else { return text }
    guard let key = AWSURIEncoding.decode(text) else { throw broken("a key is not URL-encoded UTF-8") }
    return key
  }

  private static func nonEmpty(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }

  private static func date(_ text: String?) -> Date? {
    guard let text, let time = AWSTimestamp.parse(text) else { return nil }
    return Date(timeIntervalSince1970: Double(time.seconds) + Double(time.nanoseconds) / 1e9)
  }

  static func broken(_ why: String) -> ObjectStoreError {
    ObjectStoreError(
      .fatal, provider: S3ObjectStore.provider, message: "The storage's answer can't be read: \(why).",
      nextStep: "Check that the endpoint is that of an S3 server.")
  }
}

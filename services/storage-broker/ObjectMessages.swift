// ObjectStores' values as fileferry.v1 messages.
import FerryAPI
import FoundationEssentials
import ObjectStores
import ServiceKit

extension FerryAPI.ObjectInfo {
  init(_ info: ObjectStores.ObjectInfo) {
    self.init()
    bucket = info.bucket
    key = info.key
    size = info.size
    etag = info.etag
    versionID = info.versionID
    modifiedAt = info.modifiedAt.map(Timestamp.init(date:))
    storageClass = info.storageClass
    contentType = info.contentType
    checksums = info.checksums.map(Checksum.init)
  }
}

extension Checksum {
  init(_ checksum: ObjectChecksum) {
    self.init()
    (algorithm, value) = (checksum.algorithm, checksum.value)
  }
}

extension FerryAPI.Bucket {
  init(_ bucket: ObjectStores.Bucket) {
    self.init()
    name = bucket.name
    createdAt = bucket.createdAt.map(Timestamp.init(date:))
    region = bucket.region
  }
}

extension FerryAPI.ReadGrant {
  init(_ grant: ObjectStores.ReadGrant) {
    self.init()
    switch grant.source {
    case .url(let text): url = text
    case .path(let text): path = text
    }
    headers = grant.headers.map { field in
      HeaderField.with { ($0.name, $0.value) = (field.name, field.value) }
    }
    expiresAt = Timestamp(date: grant.expiresAt)
    etag = grant.etag
    size = grant.size
    modifiedNS = grant.modifiedNanoseconds
    checksums = grant.checksums.map(Checksum.init)
  }
}

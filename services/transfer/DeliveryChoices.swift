// What the requester chose of a delivery, as the parts of the workflow ask for it.
import FerryAPI

extension Delivery {
  /// All defaults, where the request says nothing.
  var options: DeliveryOptions { request?.options ?? DeliveryOptions() }
}

extension DeliveryOptions {
  /// Permission bits of the files; nil: the server's own.
  var filePermissions: UInt16? { fileMode == 0 ? nil : UInt16(clamping: fileMode) }
  /// Permission bits of folders that are made; nil: the server's own.
  var folderPermissions: UInt16? { folderMode == 0 ? nil : UInt16(clamping: folderMode) }
}

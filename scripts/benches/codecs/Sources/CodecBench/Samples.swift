// The messages that are measured: what real calls send, filled from a seed, the same at every run.
import FerryAPI
import ProtoWire

struct Samples {
  static let filesOfPage = 100
  static let objectsOfPage = 1000
  static let filesOfReceipt = 1000
  static let chunksOfFile = 128

  private var random = SeededGenerator(state: 20_261_124)

  // MARK: Tickets

  mutating func openTickets() -> OpenTicketsRequest {
    .with {
      $0.idempotencyKey = text(Self.base64URL, 22)
      $0.deliveryID = uuid()
      $0.title = "Deliver 214 files from s3://acme-exports to sftp.customer.example"
      $0.description =
        "Ada Lovelace asked for everything under invoices/2026-11/ to be delivered to the customer's server."
      $0.auditDescription =
        "Ada Lovelace (ada@example.com) asked for 214 objects under invoices/2026-11/ of the bucket "
        + "acme-exports in eu-central-1 to be delivered to sftp://acme@sftp.customer.example:22/in on 24 November 2026."
      $0.requester = person()
      $0.assignmentGroup = "Data Delivery"
      $0.environment = .prod
      $0.priority = .high
    }
  }

  mutating func ticketPair() -> TicketPair {
    let opened = openTickets()
    let pairID = uuid()
    let notes = [
      "The delivery was taken up.", "Downloading 214 files (1.3 GB) began.", "All 214 files are valid.",
      "Nothing was compressed: the request asks for none.", "214 files were written to the server.",
      "All 214 files were read back and are equal to their sources.",
    ].map { text in
      WorkNote.with { $0.key = uuid(); $0.text = text; $0.author = person(); $0.time = time() }
    }
    var ticket = Ticket.with {
      $0.number = "REQ00" + text(Self.digits, 5)
      $0.kind = .user
      $0.pairID = pairID
      $0.deliveryID = opened.deliveryID
      $0.status = .inProgress
      $0.title = opened.title
      $0.description = opened.description
      $0.requester = opened.requester
      $0.assignmentGroup = opened.assignmentGroup
      $0.environment = opened.environment
      $0.priority = opened.priority
      $0.workNotes = notes
      $0.openedAt = time()
      $0.updatedAt = time()
    }
    let user = ticket
    ticket.number = "AUD" + ticket.number.dropFirst(3)
    ticket.kind = .audit
    ticket.description = opened.auditDescription
    return .with { $0.pairID = pairID; $0.user = user; $0.audit = ticket }
  }

  // MARK: Deliveries

  mutating func request() -> DeliveryRequest {
    .with {
      $0.assignmentGroup = "Data Delivery"
      $0.environment = .prod
      $0.priority = .high
      $0.source = .with {
        $0.connection = "default"
        $0.bucket = "acme-exports"
        $0.selections = [
          .with { $0.kind = .prefix; $0.value = "invoices/2026-11/" },
          .with { $0.kind = .key; $0.value = "contracts/" + text(Self.letters, 12) + ".pdf" },
        ]
      }
      $0.destination = .with {
        $0.url = "sftp://acme@sftp.customer.example:22/in"
        $0.hostKeys = .with { $0.fingerprints = [fingerprint()] }
        $0.maxConnections = 4
      }
      $0.options = options()
      $0.title = "Invoices of November"
      $0.path = "/in/2026-11"
    }
  }

  mutating func startDelivery() -> StartDeliveryRequest {
    .with {
      $0.request = request()
      $0.credentials = .with { $0.password = text(Self.base64URL, 20) }
      $0.idempotencyKey = uuid()
    }
  }

  mutating func options() -> DeliveryOptions {
    .with { $0.onConflict = .overwrite; $0.compression = .none; $0.chunkSize = 8 << 20 }
  }

  mutating func stateProgress() -> StateProgress {
    .with {
      $0.state = .transfer
      $0.status = .active
      $0.done = number(below: 1 << 30)
      $0.total = number(below: 1 << 32)
      $0.startedAt = time()
    }
  }

  mutating func progressEvent() -> DeliveryEvent {
    .with {
      $0.sequence = 17
      $0.kind = .progress
      $0.time = time()
      $0.message = "103 of 214 files"
      $0.delivery = delivery()
    }
  }

  mutating func delivery() -> Delivery {
    .with {
      $0.id = uuid()
      $0.request = request()
      $0.status = .running
      $0.requester = person()
      $0.ticketPairID = uuid()
      $0.userTicket = "REQ00" + text(Self.digits, 5)
      $0.auditTicket = "AUD00" + text(Self.digits, 5)
      $0.states = (1...8).map { (state: Int32) in
        StateProgress.with {
          $0.state = DeliveryState(rawValue: state)
          $0.status = state < 4 ? .done : state == 4 ? .active : .waiting
          if state > 4 { return }
          $0.total = state == 1 ? 1_321_478_231 : 214
          $0.done = state == 4 ? 103 : $0.total
          $0.startedAt = time()
          if state < 4 { $0.finishedAt = time() }
        }
      }
      $0.filesTotal = 214
      $0.filesDone = 103
      $0.bytesTotal = 1_321_478_231
      $0.bytesDone = 640_112_984
      $0.createdAt = time()
      $0.startedAt = time()
      $0.destination = "sftp://acme@sftp.customer.example:22/in/2026-11"
      $0.runs = 1
      $0.sequence = 17
    }
  }

  /// All ten that hold a number, a truth value or an enumeration.
  func scalarsOfDelivery() -> Delivery {
    .with {
      $0.status = .failed
      $0.filesTotal = .max
      $0.filesDone = 1
      $0.filesFailed = -1
      $0.bytesTotal = .min
      $0.bytesDone = 1 << 40
      $0.retries = 300
      $0.hasReceipt = true
      $0.runs = 2
      $0.sequence = 1 << 20
    }
  }

  /// All five.
  func scalarsOfChunk() -> Chunk {
    .with { $0.index = 7; $0.offset = 1 << 40; $0.length = -1; $0.sends = .max; $0.written = true }
  }

  mutating func deliveryFiles() -> ListDeliveryFilesResponse {
    .with {
      $0.files = (0..<Self.filesOfPage).map { index in
        DeliveryFile.with {
          let name = fileName()
          $0.index = Int32(index)
          $0.key = "invoices/2026-11/" + name
          $0.remotePath = "/in/2026-11/" + name
          $0.size = number(below: 20_000_000)
          $0.etag = "\"" + text(Self.hex, 32) + "\""
          $0.versionID = text(Self.base64URL, 32)
          $0.status = .delivered
          $0.sha256 = text(Self.hex, 64)
          $0.deliveredAt = time()
          $0.sourceModifiedAt = time()
        }
      }
      $0.nextPageToken = text(Self.base64URL, 24)
    }
  }

  mutating func chunks() -> ListChunksResponse {
    .with {
      $0.chunks = (0..<Self.chunksOfFile).map { index in
        Chunk.with {
          $0.index = Int32(index)
          $0.offset = Int64(index) << 23
          $0.length = 8 << 20
          $0.sha256 = text(Self.hex, 64)
          $0.sends = 1
          $0.written = true
        }
      }
    }
  }

  mutating func receipt() -> Receipt {
    .with {
      $0.deliveryID = uuid()
      $0.requester = person()
      $0.userTicket = "REQ00" + text(Self.digits, 5)
      $0.auditTicket = "AUD00" + text(Self.digits, 5)
      $0.source = "s3://acme-exports"
      $0.destination = "sftp://acme@sftp.customer.example:22"
      $0.hostKey = fingerprint()
      $0.files = (0..<Self.filesOfReceipt).map { _ in
        ReceiptFile.with {
          let name = fileName()
          $0.key = "invoices/2026-11/" + name
          $0.path = "/in/2026-11/" + name
          $0.size = number(below: 20_000_000)
          $0.sha256 = text(Self.hex, 64)
          $0.version = text(Self.base64URL, 32)
          $0.deliveredAt = time()
        }
      }
      $0.totalBytes = 9_812_331_022
      $0.startedAt = time()
      $0.finishedAt = time()
      $0.proof = "sha256, read back"
    }
  }

  // MARK: Storage and sessions

  mutating func objects() -> ListObjectsResponse {
    .with {
      $0.objects = (0..<Self.objectsOfPage).map { _ in
        ObjectInfo.with {
          $0.bucket = "acme-exports"
          $0.key = "invoices/2026-11/" + fileName()
          $0.size = number(below: 20_000_000)
          $0.etag = "\"" + text(Self.hex, 32) + "\""
          $0.modifiedAt = time()
          $0.storageClass = "STANDARD"
        }
      }
      $0.commonPrefixes = (0..<8).map { "invoices/2026-11/day-\($0)/" }
      $0.nextPageToken = text(Self.base64URL, 64)
    }
  }

  mutating func session() -> Session {
    .with {
      // As long as a JWT with our claims and an Ed25519 signature.
      $0.accessToken = [92, 380, 86].map { text(Self.base64URL, $0) }.joined(separator: ".")
      $0.accessTokenExpiresAt = time()
      $0.refreshToken = text(Self.base64URL, 43)
      $0.refreshTokenExpiresAt = time()
      $0.user = .with {
        $0.person = person()
        $0.userName = "ada"
        $0.roles = [.requester, .operator]
        $0.createdAt = time()
        $0.lastSignInAt = time()
      }
    }
  }

  mutating func getDelivery() -> GetDeliveryRequest { .with { $0.id = uuid() } }

  // MARK: What the fields hold

  private static let digits = Array("0123456789")
  private static let hex = Array("0123456789abcdef")
  private static let letters = Array("abcdefghijklmnopqrstuvwxyz")
  private static let base64URL = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

  private mutating func text(_ alphabet: [Character], _ count: Int) -> String {
    String((0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] })
  }

  private mutating func uuid() -> String {
    [8, 4, 4, 4, 12].map { text(Self.hex, $0) }.joined(separator: "-")
  }

  private mutating func fingerprint() -> String { "SHA256:" + text(Self.base64URL, 43) }

  /// One in ten is not ASCII.
  private mutating func fileName() -> String {
    let stem = number(below: 10) == 0 ? "Übersicht für März " : "invoice-"
    return stem + text(Self.digits, 8) + ".pdf"
  }

  private mutating func number(below limit: Int64) -> Int64 { .random(in: 0..<limit, using: &random) }

  private mutating func time() -> Timestamp {
    .with { $0.seconds = 1_795_000_000 + number(below: 1_000_000); $0.nanos = Int32(number(below: 1_000_000_000)) }
  }

  private mutating func person() -> Person {
    .with { $0.id = uuid(); $0.name = "Ada Lovelace"; $0.email = "ada.lovelace@example.com" }
  }
}

/// SplitMix64 (Steele, Lea, Flood).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

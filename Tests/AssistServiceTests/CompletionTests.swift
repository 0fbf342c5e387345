// What people are told at the end, for each way a delivery can end.
import FerryAPI
import RPC
import Testing

@testable import AssistService

func ended(_ status: DeliveryStatus, _ fill: (inout Delivery) -> Void = { _ in }) -> Delivery {
  var delivery = Delivery.with {
    $0.id = "dlv_1"
    $0.status = status
    $0.userTicket = "REQ0000042"
    $0.auditTicket = "AUD0000042"
    $0.destination = "sftp://acme@sftp.partner.example:22/in"
    $0.filesTotal = 12
    $0.filesDone = 12
    $0.bytesTotal = 3 << 30
    $0.bytesDone = 3 << 30
    $0.startedAt = Timestamp(seconds: 1000)
    $0.finishedAt = Timestamp(seconds: 1252)
  }
  fill(&delivery)
  return delivery
}

func message(_ delivery: Delivery) throws -> CompletionMessage {
  try RulesGenerator().composeCompletion(.with { $0.delivery = delivery })
}

let full = Problem.with {
  $0.code = "DISK_FULL"
  $0.message = "The disk of sftp.partner.example is full."
  $0.nextStep = "Ask the partner for room, then retry the delivery."
  $0.provider = "sftp"
  $0.providerCode = "SSH_FX_FAILURE"
}

@Suite("Completion messages")
struct CompletionTests {
  @Test("a success names files, size, place, time, receipt and tickets")
  func success() throws {
    let told = try message(ended(.succeeded) { $0.hasReceipt = true; $0.retries = 2 })
    #expect(told.title == "Delivered: 12 files (3 GiB) to sftp.partner.example")
    #expect(
      told.body == """
        12 files (3 GiB) were delivered to sftp://acme@sftp.partner.example:22/in and proven.
        It took 4 min 12 s.
        On the way, 2 steps were tried again.
        A signed receipt lists each file with its SHA-256.
        Tickets: REQ0000042, AUD0000042.
        Delivery: dlv_1.
        """)
  }

  @Test("a failure says what went wrong and what to do")
  func failed() throws {
    let told = try message(ended(.failed) { $0.filesDone = 0; $0.bytesDone = 0; $0.problem = full })
    #expect(told.title == "Not delivered: to sftp.partner.example")
    #expect(told.body.hasPrefix("Nothing was delivered to sftp://acme@sftp.partner.example:22/in.\n"))
    #expect(told.body.contains("What went wrong: The disk of sftp.partner.example is full.\n"))
    #expect(told.body.contains("What to do: Ask the partner for room, then retry the delivery.\n"))
    #expect(told.body.contains("Code: DISK_FULL, sftp, SSH_FX_FAILURE."))
  }

  @Test("a part says how many of how many, and claims no bytes that may be unfinished")
  func partly() throws {
    let told = try message(ended(.failed) { $0.filesDone = 5; $0.filesFailed = 1; $0.problem = full })
    #expect(told.title == "Delivered in part: 5 of 12 files to sftp.partner.example")
    #expect(told.body.contains("5 of 12 files were delivered to"))
    #expect(told.body.contains(" 1 file failed.\n"))
    #expect(told.body.contains("Retrying the delivery does not send again what has been proven."))
    #expect(!told.body.contains("GiB"))
  }

  @Test("a cancelled delivery is called that, with or without files")
  func cancelled() throws {
    let before = try message(ended(.cancelled) { $0.filesDone = 0 })
    #expect(before.body.contains("cancelled before any file was delivered."))
    let after = try message(ended(.cancelled) { $0.filesDone = 3 })
    #expect(after.body.contains("cancelled after 3 of 12 files."))
  }

  @Test("what the delivery does not say is not said")
  func bare() throws {
    let told = try message(Delivery.with { $0.status = .succeeded; $0.filesDone = 1; $0.bytesDone = 7 })
    #expect(told.title == "Delivered: 1 file (7 bytes)")
    #expect(told.body == "1 file (7 bytes) was delivered and proven.")
  }

  @Test(
    "a delivery that has not ended, or none, is refused",
    arguments: [.pending, .running, .unspecified] as [DeliveryStatus])
  func notEnded(status: DeliveryStatus) {
    #expect(throws: RPCError.self) { try message(ended(status)) }
    #expect(throws: RPCError.self) { try RulesGenerator().composeCompletion(ComposeCompletionRequest()) }
  }
}

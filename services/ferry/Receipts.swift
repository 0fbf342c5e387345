// receipt, receipt-key, verify: the signed proof, to read, to keep and to check without FileFerry.
import ArgumentParser
import FerryAPI
import FoundationEssentials
import Glibc
import RPC

struct ReceiptCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receipt", abstract: "Shows a delivery's receipt, or saves the signed proof.",
    discussion: "Example: ferry receipt dlv_01J... --output receipt.json")
  @OptionGroup var options: ServerOptions
  @Argument(help: "The delivery's id.") var id: String
  @Option(help: "File for the signed proof, a JSON Web Signature (RFC 7515).") var output: String?

  func run() async throws {
    try await Server.run(options) { server in
      let signed = try await Transfer.Client(server.channel).getReceipt(.with { $0.deliveryID = id }, server.signedIn())
      let proof = signed.flattenedJSON
      if options.json, output == nil { return print(proof) }
      let receipt = try signed.receipt ?? ReceiptProof.payload(signed)
      guard let output else { return ReceiptText.show(receipt) }
      if !receipt.parts.isEmpty { try await save(receipt, to: ReceiptList.path(beside: output), server) }
      try proof.write(toFile: output, atomically: true, encoding: .utf8)
      print("Saved to \(output). Check it with: ferry verify \(output) --key KEYFILE")
    }
  }

  /// A long list of files, part by part, under its name only when it is whole.
  private func save(_ receipt: Receipt, to path: String, _ server: Server) async throws {
    let unfinished = path + ".part"
    guard let file = fopen(unfinished, "w") else {
      throw ReceiptProof.Refusal("its list of files can't be written to \(unfinished)")
    }
    do {
      for part in receipt.parts.indices {
        let text = try await Transfer.Client(server.channel).getReceiptPart(
          .with {
            $0.deliveryID = id
            $0.part = Int32(part)
          }, server.signedIn()
        ).text
        guard fputs(text, file) >= 0 else { throw ReceiptProof.Refusal("its list of files can't be written to \(unfinished)") }
      }
    } catch {
      fclose(file)
      unlink(unfinished)
      throw error
    }
    guard fclose(file) == 0, rename(unfinished, path) == 0 else {
      unlink(unfinished)
      throw ReceiptProof.Refusal("its list of files can't be written to \(path)")
    }
    print("Its \(receipt.totalFiles) files are listed in \(path).")
  }
}

struct ReceiptKeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "receipt-key", abstract: "Prints the public key that receipts are checked with (a JSON Web Key).",
    discussion: "Example: ferry receipt-key > fileferry-key.jwk")
  @OptionGroup var options: ServerOptions

  func run() async throws {
    try await Server.run(options) { server in
      print(try await Transfer.Client(server.channel).getReceiptKey(GetReceiptKeyRequest(), .timeout(Server.callTimeout)).jwkJSON)
    }
  }
}

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Checks a saved receipt with the public key alone; needs no FileFerry.",
    discussion: """
      Example: ferry verify receipt.json --key fileferry-key.jwk

      The list of more than 10,000 files is in a file beside it, as 'ferry receipt --output' saves it: receipt.files.jsonl.
      Exit code 0: the receipt is genuine. 1: it is not, or one of the two files cannot be read.
      """)
  @Argument(help: "The signed proof, as 'ferry receipt --output' saves it.") var file: String
  @Option(help: "File with the public key, as 'ferry receipt-key' prints it.") var key: String
  @Flag(help: "Print the receipt as JSON.") var json = false

  func run() throws {
    let proof = try Secret.contents(of: file)
    let publicKey = try Secret.contents(of: key)
    do throws(ReceiptProof.Refusal) {
      let payload = try ReceiptProof.verify(proof, publicKey: publicKey)
      if json { return print(payload) }
      guard let receipt = try? Receipt(json: payload) else {
        throw ReceiptProof.Refusal("the signature is genuine, but the payload is not a receipt that this version can read")
      }
      if !receipt.parts.isEmpty { try ReceiptList.check(ReceiptList.path(beside: file), against: receipt) }
      print("Genuine: signed with the key that you named, unchanged since.")
      ReceiptText.show(receipt)
    } catch {
      printError("Not genuine: \(error.reason).")
      throw ExitCode(1)
    }
  }
}

enum ReceiptText {
  static func show(_ receipt: Receipt) {
    print("Receipt of delivery \(receipt.deliveryID)")
    print("From      \(receipt.source)")
    print("To        \(receipt.destination)" + (receipt.hostKey.isEmpty ? "" : ", key \(receipt.hostKey)"))
    print("Asked by  \(receipt.requester?.name ?? ""), tickets \(receipt.userTicket) and \(receipt.auditTicket)")
    print("Times     \(Printing.time(receipt.startedAt)) to \(Printing.time(receipt.finishedAt))")
    print("Proof     \(receipt.proof)")
    print("Files     \(max(receipt.totalFiles, Int64(receipt.files.count))), \(Printing.bytes(receipt.totalBytes))")
    for file in receipt.files {
      print("  \(file.sha256)  \(file.size)  \(file.path)" + (file.serverChecksum.isEmpty ? "" : "  (\(file.serverChecksum))"))
    }
  }
}

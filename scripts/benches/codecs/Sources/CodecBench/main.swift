// Measures FerryAPI's codecs and SwiftProtobuf's and writes the figures to standard output as one JSON object.
// scripts/benches/codecs.py builds it, runs it and judges.
import FerryAPI
import Foundation
import PeerMessages
import ProtoWire
import SwiftProtobuf

/// Odd, so that the median is one of them.
let rounds = 41
let nanosecondsARound: UInt64 = 4_000_000

func measure<Ours: ProtoWire.Message, Theirs: SwiftProtobuf.Message>(
  _ name: String, _ ours: Ours, _ type: Theirs.Type
) throws -> Measured {
  try Comparison(name, ours, type).measured(rounds: rounds, nanoseconds: nanosecondsARound)
}

/// The same message with one scalar field and with all of them.
struct ScalarFields: Encodable {
  struct Blocks: Encodable {
    var fields: Int
    var encode: Int
    var decode: Int
  }
  var message: String
  var one: Blocks
  var all: Blocks

  init<Ours: ProtoWire.Message, Theirs: SwiftProtobuf.Message>(
    _ message: String, one: Ours, all: Ours, _ fields: Int, _ type: Theirs.Type
  ) throws {
    self.message = message
    let few = try Comparison(message, one, type).ourAllocations()
    let many = try Comparison(message, all, type).ourAllocations()
    self.one = Blocks(fields: 1, encode: few.encode, decode: few.decode)
    self.all = Blocks(fields: fields, encode: many.encode, decode: many.decode)
  }
}

struct Report: Encodable {
  var messages: [Measured]
  var scalarFields: [ScalarFields]
}

var samples = Samples()
let report = Report(
  messages: [
    try measure("WhoAmIRequest, empty", WhoAmIRequest(), Fileferry_V1_WhoAmIRequest.self),
    try measure("GetDeliveryRequest", samples.getDelivery(), Fileferry_V1_GetDeliveryRequest.self),
    try measure("DeliveryOptions, scalars only", samples.options(), Fileferry_V1_DeliveryOptions.self),
    try measure("StateProgress", samples.stateProgress(), Fileferry_V1_StateProgress.self),
    try measure("Session", samples.session(), Fileferry_V1_Session.self),
    try measure("OpenTicketsRequest", samples.openTickets(), Fileferry_V1_OpenTicketsRequest.self),
    try measure("TicketPair, 6 notes each", samples.ticketPair(), Fileferry_V1_TicketPair.self),
    try measure("StartDeliveryRequest", samples.startDelivery(), Fileferry_V1_StartDeliveryRequest.self),
    try measure("DeliveryEvent, progress", samples.progressEvent(), Fileferry_V1_DeliveryEvent.self),
    try measure("ListChunksResponse, 128", samples.chunks(), Fileferry_V1_ListChunksResponse.self),
    try measure("ListDeliveryFilesResponse, 100", samples.deliveryFiles(), Fileferry_V1_ListDeliveryFilesResponse.self),
    try measure("ListObjectsResponse, 1000", samples.objects(), Fileferry_V1_ListObjectsResponse.self),
    try measure("Receipt, 1000 files", samples.receipt(), Fileferry_V1_Receipt.self),
  ],
  scalarFields: [
    try ScalarFields(
      "DeliveryOptions", one: DeliveryOptions.with { $0.chunkSize = 1 << 20 }, all: samples.options(), 3,
      Fileferry_V1_DeliveryOptions.self),
    try ScalarFields(
      "Chunk", one: Chunk.with { $0.index = 7 }, all: samples.scalarsOfChunk(), 5, Fileferry_V1_Chunk.self),
    try ScalarFields(
      "Delivery", one: Delivery.with { $0.retries = 1 }, all: samples.scalarsOfDelivery(), 10,
      Fileferry_V1_Delivery.self),
  ])
let encoder = JSONEncoder()
encoder.outputFormatting = .prettyPrinted
print(String(decoding: try encoder.encode(report), as: UTF8.self))

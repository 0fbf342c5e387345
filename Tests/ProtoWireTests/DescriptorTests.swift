// What descriptors say of themselves; test_codecs.py holds their bytes against protoc's.
import ProtoWire
import Testing

@Suite("Descriptors")
struct DescriptorTests {
  @Test(
    "a JSON name is the field's name in lower camel case",
    arguments: zip(
      ["id", "delivery_id", "s3", "sha256", "next_page_token", "_lead", "a__b"],
      ["id", "deliveryId", "s3", "sha256", "nextPageToken", "Lead", "aB"]))
  func jsonNames(_ name: String, _ jsonName: String) {
    #expect(FieldDescriptor(1, name, .string).jsonName == jsonName)
  }

  @Test("enumeration values are found by name and by number")
  func enumerations() {
    #expect(Colour.descriptor.number(of: "COLOUR_RED") == 1)
    #expect(Colour.descriptor.name(of: 1) == "COLOUR_RED")
    #expect(Colour.descriptor.name(of: 2) == nil && Colour.descriptor.number(of: "RED") == nil)
  }
}

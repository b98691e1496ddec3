import ApusBase
import AsyncHTTPClient
import Foundation
import SwiftProtobuf
import Testing

@testable import ApusFlower

@Suite struct HandshakeLaws {
  @Test func `a request is signed as Flower checks it`() throws {
    var request = Flwr_Proto_AcquireTaskRequest()
    request.supportedTaskTypes = ["flwr-clientapp"]
    let body: Data = try request.serializedBytes()
    #expect(body.hexadecimal.hasPrefix("0a0e"))
    let headers = TaskSignature(secret: Data("0123456789abcdef".utf8)).headers(
      for: body, at: 1_750_000_000, nonce: String(repeating: "0", count: 32))
    let values = Dictionary(headers.map { ($0.name, $0.value) }) { first, _ in first }
    #expect(
      values["flwr-superexec-body-sha256"]
        == "61e5fa7d728778547a32e8472bbe60079bbf4ce48bc6885efa93f22b840be234")
    #expect(
      values["flwr-superexec-signature"]
        == "fc32e880b6666bf4383aa2dd1ba2ca7417de17b7a588a847b80ae371c9707122")
  }

  @Test func `no nonce is used twice`() {
    let signature = TaskSignature(secret: Data("secret".utf8))
    let nonces = (0..<100).compactMap { _ in
      signature.headers(for: Data()).first { $0.name == "flwr-superexec-nonce" }?.value
    }
    #expect(Set(nonces).count == 100 && nonces.allSatisfy { $0.count == 32 })
  }

  private static func description(_ version: String) -> Data {
    Data("{\"openapi\": \"3.1.0\", \"info\": {\"version\": \"\(version)\"}}".utf8)
  }

  @Test(arguments: ["1.40.0", "1.41.2", "1.42.0"])
  func `a tested version is declared back`(version: String) throws {
    let found = try FlowerVersion(openAPI: Self.description(version), address: "here")
    #expect(found.headers.contains { $0.name == "flwr-package-version" && $0.value == version })
  }

  @Test(arguments: ["1.39.0", "1.43.0", "2.0.0", "next"])
  func `another version is refused with its number`(version: String) {
    let error = #expect(throws: ApusError.self) {
      try FlowerVersion(openAPI: Self.description(version), address: "here:1")
    }
    #expect(error?.code == .unsupported && error?.location == "here:1")
    #expect(error?.problem.contains(version) == true)
  }

  @Test(arguments: ["", "<html>", "{}"])
  func `what is no Flower is refused`(text: String) {
    let error = #expect(throws: ApusError.self) {
      try FlowerVersion(openAPI: Data(text.utf8), address: "here:1")
    }
    #expect(error?.code == .unsupported)
  }

  @Test func `a SuperLink that is only starting is waited for`() async throws {
    let link = TestLink()
    await link.set { $0.refusals["openapi.json"] = [503, 502] }
    await link.set { $0.silence = HTTPClientError.remoteConnectionClosed }
    await link.set { $0.silences["openapi.json"] = 2 }
    _ = try await testSession(link)
    #expect(await link.calls.count == 5)
  }

  @Test func `one that closes every connection is taken to speak TLS`() async throws {
    let link = TestLink()
    await link.set { $0.silence = HTTPClientError.remoteConnectionClosed }
    await link.set { $0.silences["openapi.json"] = 100 }
    let error = await #expect(throws: ApusError.self) { try await testSession(link) }
    #expect(error?.remedy.contains("--root-certificates") == true)
  }

  @Test func `an answer that makes no sense is an error in words`() async throws {
    let link = TestLink()
    await link.set { $0.garbled = ["get-nodes"] }
    let session = try await testSession(link)
    let error = await #expect(throws: ApusError.self) { try await session.nodes() }
    #expect(error?.code == .runState && error?.problem.contains("get-nodes") == true)
  }

  @Test(arguments: [
    "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "", "http://127.0.0.1:8000",
  ])
  func `an address is a host and a port`(address: String) {
    let error = #expect(throws: ApusError.self) { try FlowerConnection(address) }
    #expect(error?.code == .invalidConfig)
  }
}

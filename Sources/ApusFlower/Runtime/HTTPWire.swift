import ApusBase
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOSSL

/// Requests over HTTP/1.1, with TLS if the connection has root certificates.
struct HTTPWire: RuntimeWire {
  let address: String
  private let base: String
  private let client: HTTPClient
  private let traffic: FlowerTraffic

  /// Flower's chunks have five million bytes, but other senders may choose.
  private static let longestAnswer = 1 << 30

  /// Calls `body` with a wire, and closes its connections afterwards.
  ///
  /// - Parameters:
  ///   - connection: Where to.
  ///   - traffic: Counts what crosses.
  ///   - body: Uses the wire; it must be done with it when it returns.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws.
  static func using<Result: Sendable>(
    _ connection: FlowerConnection, traffic: FlowerTraffic,
    _ body: (HTTPWire) async throws -> Result
  ) async throws -> Result {
    var configuration = HTTPClient.Configuration()
    configuration.httpVersion = .http1Only
    configuration.redirectConfiguration = .disallow
    configuration.timeout = .init(connect: .seconds(10), read: .seconds(120))
    // Flower closes idle connections after five seconds; ours must be gone before.
    configuration.connectionPool.idleTimeout = .seconds(2)
    if let roots = connection.rootCertificates {
      var tls = TLSConfiguration.makeClientConfiguration()
      tls.trustRoots = .file(roots.path)
      configuration.tlsConfiguration = tls
    }
    // Attempts are repeated above, where it is known what may be repeated.
    configuration.connectionPool.retryConnectionEstablishment = false
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    let wire = HTTPWire(
      address: connection.address, base: connection.base, client: client, traffic: traffic)
    do {
      let result = try await body(wire)
      try await client.shutdown()
      return result
    } catch {
      try? await client.shutdown()
      throw error
    }
  }

  func send(_ request: WireRequest) async throws -> WireAnswer {
    var http = HTTPClientRequest(url: base + request.path)
    for (name, value) in request.headers { http.headers.add(name: name, value: value) }
    if let body = request.body {
      http.method = .POST
      http.headers.add(name: "content-type", value: "application/protobuf")
      http.body = .bytes(ByteBuffer(data: body))
    }
    // A connection that is closed behind each answer was never used before.
    if request.needsFreshConnection { http.headers.add(name: "connection", value: "close") }
    do {
      let response = try await client.execute(http, timeout: .seconds(300))
      let body = try await response.body.collect(upTo: Self.longestAnswer)
      traffic.add(sent: request.body?.count ?? 0, received: body.readableBytes)
      return WireAnswer(status: Int(response.status.code), body: Data(buffer: body))
    } catch let error as CancellationError {
      throw error
    } catch is NIOTooManyBytesError {
      throw ApusError(
        .invalidMessage, at: address,
        "its answer to \(request.path) has more than \(Self.longestAnswer) bytes",
        remedy: "Send large arrays in chunks, as Flower does")
    } catch {
      try Task.checkCancellation()
      throw Self.isAboutTrust(error) ? WireFailure.untrusted(error) : .unreachable(error)
    }
  }

  private static func isAboutTrust(_ error: any Error) -> Bool {
    // A server that is killed says no goodbye; that is no question of trust.
    if case NIOSSLError.uncleanShutdown = error { return false }
    if error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError { return true }
    return "\(error)".contains("SSL")
  }
}

public import ApusBase
public import Foundation
import NIOSSL

/// How to reach the Runtime API of a SuperLink or a SuperNode.
public struct FlowerConnection: Sendable {
  /// Host and port, such as `127.0.0.1:9094`.
  public let address: String
  /// PEM file of the authorities to trust; nil for plain HTTP.
  public let rootCertificates: URL?
  /// What the other side's `--superexec-auth-secret-file` holds; nil if it has none.
  public let secret: Data?

  /// Describes a connection.
  ///
  /// - Parameters:
  ///   - address: Host and port.
  ///   - rootCertificates: PEM file of the authorities to trust; nil for plain HTTP.
  ///   - secretFile: The file that the other side got as `--superexec-auth-secret-file`.
  /// - Throws: ``ApusError`` `.invalidConfig` if the address has no port, `.fileAccess` or
  ///   `.invalidFile` if a file cannot be used.
  public init(
    _ address: String, rootCertificates: URL? = nil, secretFile: URL? = nil
  ) throws(ApusError) {
    let parts = address.split(separator: ":")
    guard parts.count >= 2, !address.contains("/"), let port = Int(parts[parts.count - 1]),
      (1...65_535).contains(port)
    else {
      throw ApusError(
        .invalidConfig, at: "address \(address)", "it is no host and port",
        remedy: "Write both, such as 127.0.0.1:9094")
    }
    self.address = address
    self.rootCertificates = rootCertificates
    if let rootCertificates {
      do { _ = try NIOSSLCertificate.fromPEMFile(rootCertificates.path) } catch {
        throw ApusError(
          .invalidFile, at: rootCertificates.path, "it holds no PEM certificates",
          remedy: "Give the certificate of the authority that signed the server's", cause: error)
      }
    }
    do { secret = try secretFile.map { try Data(contentsOf: $0) } } catch {
      throw ApusError(
        .fileAccess, at: secretFile?.path ?? "", "the secret cannot be read",
        remedy: "Give the file that Flower got as --superexec-auth-secret-file", cause: error)
    }
  }

  /// Where requests go.
  var base: String { "\(rootCertificates == nil ? "http" : "https")://\(address)" }
}

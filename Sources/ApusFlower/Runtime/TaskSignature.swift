import Crypto
import Foundation

/// Signs a request for a task with the secret of Flower's process isolation.
///
/// The key is HMAC-SHA256 of a fixed text under the secret; what is signed are the method, the
/// time, a nonce that is accepted once, and the hash of the body.
struct TaskSignature {
  let secret: Data

  /// The headers that carry the signature.
  ///
  /// - Parameters:
  ///   - body: The serialized request.
  ///   - seconds: Unix time; Flower accepts five minutes of age.
  ///   - nonce: 32 hexadecimal digits, never used before.
  /// - Returns: Names and values.
  func headers(
    for body: Data, at seconds: Int, nonce: String
  ) -> [(name: String, value: String)] {
    let key = HMAC<SHA256>.authenticationCode(
      for: Data("superexec-auth-v1".utf8), using: SymmetricKey(data: secret))
    let hash = SHA256.hash(data: body).hexadecimal
    let text =
      "method=/flwr.proto.Runtime/AcquireTask\nts=\(seconds)\nnonce=\(nonce)\nbody_sha256=\(hash)"
    let code = HMAC<SHA256>.authenticationCode(
      for: Data(text.utf8), using: SymmetricKey(data: Data(key)))
    return [
      ("flwr-superexec-ts", "\(seconds)"), ("flwr-superexec-nonce", nonce),
      ("flwr-superexec-body-sha256", hash), ("flwr-superexec-signature", Data(code).hexadecimal),
    ]
  }

  /// The headers of a request that is sent now.
  func headers(for body: Data) -> [(name: String, value: String)] {
    // The system's own generator: a nonce protects, and decides no bit of any result.
    let key = SymmetricKey(size: .bits128)
    let nonce = key.withUnsafeBytes { Data($0) }.hexadecimal
    return headers(for: body, at: Int(Date().timeIntervalSince1970), nonce: nonce)
  }
}

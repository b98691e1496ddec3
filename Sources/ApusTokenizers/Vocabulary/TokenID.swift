import ApusBase

extension JSONNode {
  /// The id of a token or of a type; throws `.invalidFile` if it is none.
  func tokenID() throws(ApusError) -> Int {
    let id = try int()
    guard (0..<Vocabulary.idBound).contains(id) else {
      throw error(
        "the id \(id) is out of range", remedy: "Use an id of the model, from 0 to 2147483647")
    }
    return id
  }
}

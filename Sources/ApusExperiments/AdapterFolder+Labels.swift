import ApusAdapters
import ApusModels

extension AdapterFolder {
  /// The number of classes: of the notes, of the head that the folder stores, of the checkpoint.
  ///
  /// - Parameter checkpoint: What the adapter was trained on.
  /// - Returns: Nil if none of them tells.
  func labelCount(beside checkpoint: Checkpoint) -> Int? {
    [notes?.labels.count, classCount, checkpoint.labels.count].lazy.compactMap(\.self)
      .first { $0 > 0 }
  }
}

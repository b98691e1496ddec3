import ApusTorch

/// How far an emulator is from the blocks whose place it takes.
///
/// - Source: Wu et al., FedBiOT, arXiv 2406.17706, the server's objective; normalized as in its
///   reference code.
enum EmulatorLoss {
  /// L_rep = mean(((t − u) / rms(t))²) of hidden states: 0 where they agree, and the same when both
  /// are scaled.
  ///
  /// - Parameters:
  ///   - teacher: t [T, D], what leaves the blocks themselves; a constant.
  ///   - student: u [T, D], what leaves the emulator.
  /// - Returns: A scalar in float32.
  static func representation(teacher: Tensor, student: Tensor) -> Tensor {
    let (t, u) = (teacher.detached().to(.float32), student.to(.float32))
    return ((t - u) / t.squared.mean().squareRoot).squared.mean()
  }

  /// L_KL, the mean over tokens of KL(softmax(z) ‖ softmax(ẑ)) in nats.
  ///
  /// - Parameters:
  ///   - full: z [T, V], scores of the whole model with the adapter; a constant.
  ///   - emulated: ẑ [T, V], scores behind the emulator with the same adapter.
  /// - Returns: A scalar in float32.
  static func divergence(full: Tensor, emulated: Tensor) -> Tensor {
    let expected = logSoftmax(full.detached().to(.float32))
    let found = logSoftmax(emulated.to(.float32))
    return (exp(expected) * (expected - found)).sum([1]).mean()
  }
}

internal import ApusBase
internal import ApusCore
internal import ApusTorch

extension Module {
  /// Gives the layers of a head those of a checkpoint that fit, and draws the others: weights
  /// normal, biases zero.
  ///
  /// - Parameters:
  ///   - stored: Tensors by path, in float32.
  ///   - deviation: Of drawn weights.
  ///   - random: Draws them, each layer from a stream named by its path.
  ///   - device: Where the head is.
  /// - Returns: The paths of the layers that were drawn.
  func takeLayers(
    of stored: NamedTensors, deviation: Double, random: RandomStream, device: Device
  ) -> [String] {
    var drawn: [String] = []
    walk { path, module in
      guard let layer = module as? Linear else { return }
      let bias = stored["\(path).bias"]
      if let weight = stored["\(path).weight"], weight.shape == layer.weight.shape,
        bias?.shape == layer.bias?.shape
      {
        layer.weight.value = weight
        if let bias { layer.bias?.value = bias }
        return
      }
      var stream = random.substream(path)
      layer.weight.value = Tensor.normal(
        layer.weight.shape, deviation: deviation, stream: &stream
      ).to(device: device)
      layer.bias?.value = Tensor.zeros([layer.outputs], device: device)
      drawn.append(path)
    }
    return drawn
  }
}

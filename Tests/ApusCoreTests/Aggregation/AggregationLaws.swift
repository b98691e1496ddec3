import ApusBase
import ApusCore
import Testing

@Suite struct AggregationLaws {
  @Test func `updates count by their rows, or all alike`() {
    var aggregation = Aggregation()
    #expect(aggregation.weight(sampleCount: 37) == 37)
    aggregation.weighting = .uniform
    #expect(aggregation.weight(sampleCount: 37) == 1)
  }

  @Test func `an error of the server's rule points below server`() {
    var aggregation = Aggregation()
    for (field, spoil) in [
      ("learning-rate", { $0.learningRate = 0 }), ("momentum", { $0.momentum = 1 }),
      ("beta1", { $0.beta1 = -0.1 }), ("beta2", { $0.beta2 = .nan }), ("tau", { $0.tau = 0 }),
      ("tau", { $0.tau = .infinity }),
    ] as [(String, (inout ServerOptimizerConfiguration) -> Void)] {
      aggregation.server = ServerOptimizerConfiguration()
      spoil(&aggregation.server)
      let error = #expect(throws: ApusError.self) { try aggregation.validate() }
      #expect(error?.location == "server.\(field)")
      #expect(error?.code == .invalidConfig)
    }
  }
}

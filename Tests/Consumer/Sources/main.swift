// What another package sees of Apus: its products, and no flag but PKG_CONFIG_PATH and the run path.
import ApusCore
import ApusTorch

let x = Tensor([1, 2, 3] as [Float], shape: [3]).requiringGradient()
let gradients = (x * x).sum().gradients(by: [x])
try Tensor.check()
let message = NamedTensors(["gradient": gradients[0]].compactMapValues { $0 })
print("d Σx²/dx at 1, 2, 3:", message["gradient"]?.floats ?? [])

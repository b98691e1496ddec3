// Decompositions as LAPACK gives them; signs are fixed above.
#include "Boundary.h"

using namespace apus;

extern "C" {

bool apus_svd(apus_tensor x, apus_tensor *u, apus_tensor *s, apus_tensor *vh) {
  return guarded<bool>("svd", false, [&] {
    auto [left, values, right] = at::linalg_svd(in(x), /*full_matrices=*/false);
    *u = out(left);
    *s = out(values);
    *vh = out(right);
    return true;
  });
}

bool apus_qr(apus_tensor x, apus_tensor *q, apus_tensor *r) {
  return guarded<bool>("qr", false, [&] {
    auto [orthonormal, triangular] = at::linalg_qr(in(x), "reduced");
    *q = out(orthonormal);
    *r = out(triangular);
    return true;
  });
}

bool apus_eigh(apus_tensor x, apus_tensor *values, apus_tensor *vectors) {
  return guarded<bool>("eigh", false, [&] {
    auto [spectrum, basis] = at::linalg_eigh(in(x));
    *values = out(spectrum);
    *vectors = out(basis);
    return true;
  });
}

apus_tensor apus_cholesky(apus_tensor x) {
  return tensor("cholesky", [&] { return at::linalg_cholesky(in(x)); });
}

apus_tensor apus_solve(apus_tensor a, apus_tensor b) {
  return tensor("solve", [&] { return at::linalg_solve(in(a), in(b)); });
}

apus_tensor apus_lstsq(apus_tensor a, apus_tensor b) {
  return tensor("lstsq", [&] { return std::get<0>(at::linalg_lstsq(in(a), in(b))); });
}

}  // extern "C"

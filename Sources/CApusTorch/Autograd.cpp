// Gradients, and operations whose backward is written in Swift.
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include "Boundary.h"

using namespace apus;
using torch::autograd::variable_list;

namespace {

/// A node of the graph whose backward is a callback.
struct CallbackNode : torch::autograd::Node {
  void *context = nullptr;
  apus_backward backward = nullptr;
  void (*release)(void *) = nullptr;

  ~CallbackNode() override { drop(); }

  void drop() {
    if (context != nullptr) release(context);
    context = nullptr;
  }

  void release_variables() override { drop(); }

  variable_list apply(variable_list &&gradients) override {
    if (context == nullptr)
      throw std::logic_error("the graph was already used; keep it to go through it again");
    std::vector<apus_tensor> given;
    for (auto &gradient : gradients)
      given.push_back(gradient.defined() ? reinterpret_cast<apus_tensor>(&gradient) : nullptr);
    std::vector<apus_tensor> made(num_outputs(), nullptr);
    const bool done = backward(
        context, given.data(), static_cast<int64_t>(given.size()), made.data(),
        static_cast<int64_t>(made.size()));
    variable_list result(made.size());
    for (size_t i = 0; i < made.size(); ++i) {
      if (made[i] == nullptr) continue;
      result[i] = in(made[i]);
      apus_release(made[i]);
    }
    // On a GPU this runs on a thread of libtorch's: the message must travel to the caller's.
    if (!done) throw std::runtime_error(take("the backward of a custom operation failed"));
    return result;
  }
};

}  // namespace

extern "C" {

bool apus_grad_mode(void) { return at::GradMode::is_enabled(); }

bool apus_set_grad_mode(bool enabled) {
  const bool former = at::GradMode::is_enabled();
  at::GradMode::set_enabled(enabled);
  return former;
}

void apus_set_requires_grad(apus_tensor x, bool required) {
  guarded<bool>("requires_grad", false, [&] {
    in(x).requires_grad_(required);
    return true;
  });
}

bool apus_requires_grad(apus_tensor x) {
  return guarded<bool>("requires_grad", false, [&] { return in(x).requires_grad(); });
}

bool apus_gradients(
    const apus_tensor *outputs, const apus_tensor *seeds, int64_t output_count,
    const apus_tensor *inputs, int64_t input_count, bool keep_graph, bool create_graph,
    apus_tensor *gradients) {
  return guarded<bool>("gradients", false, [&] {
    variable_list given;
    for (int64_t i = 0; i < output_count; ++i)
      given.push_back(seeds[i] == nullptr ? at::Tensor() : in(seeds[i]));
    const auto results = torch::autograd::grad(
        list(outputs, output_count), list(inputs, input_count), given, keep_graph, create_graph,
        /*allow_unused=*/true);
    for (int64_t i = 0; i < input_count; ++i)
      gradients[i] = results[i].defined() ? out(results[i]) : nullptr;
    return true;
  });
}

void apus_attach_backward(
    const apus_tensor *outputs, int64_t output_count, const apus_tensor *inputs,
    int64_t input_count, void *context, apus_backward backward, void (*release)(void *context)) {
  bool owned = true;
  guarded<bool>("custom operation", false, [&] {
    const auto sources = list(inputs, input_count);
    if (!at::GradMode::is_enabled() || !torch::autograd::any_variable_requires_grad(sources))
      return true;
    auto node = c10::make_intrusive<CallbackNode>();
    node->context = context;
    node->backward = backward;
    node->release = release;
    owned = false;
    node->set_next_edges(torch::autograd::collect_next_edges(sources));
    for (int64_t i = 0; i < output_count; ++i)
      torch::autograd::set_history(in(outputs[i]), node);
    return true;
  });
  if (owned) release(context);
}

}  // extern "C"

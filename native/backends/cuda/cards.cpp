#include "backends/cuda/cards.h"

#include <charconv>

#include "backends/cuda/backend.h"
#include "backends/cuda/embedded.h"
#include "base/error.h"

namespace sdgen::cuda {
namespace {

const Cards& cards_here() {
  static const Cards found = [] {
    Cards cards;
    try {
      const DriverApi* api = load_driver("libcuda.so.1", cards.problem);
      if (api != nullptr) cards = find_cards(*api, embedded_code().toolkit);
    } catch (const Error& error) {
      cards.problem = error.what();
    }
    return cards;
  }();
  return found;
}

std::string name_of(const Card& card) { return card.index == 0 ? "cuda" : "cuda:" + std::to_string(card.index); }

}  // namespace

std::optional<int> card_of(std::string_view device) {
  if (device == "cuda") return 0;
  if (!device.starts_with("cuda:")) return std::nullopt;
  const std::string_view digits = device.substr(5);
  int card = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), card);
  if (error != std::errc{} || end != digits.data() + digits.size() || card < 0) return std::nullopt;
  return card;
}

bool is_built() { return !embedded_code().images.empty(); }

std::vector<BackendInfo> infos() {
  if (!is_built()) return {};
  const Cards& here = cards_here();
  if (here.cards.empty()) return {{"cuda", "NVIDIA cards", "none", {}, here.problem}};
  std::vector<BackendInfo> rows;
  for (const Card& card : here.cards) {
    rows.push_back(describe(card));
    rows.back().name = name_of(card);
  }
  return rows;
}

std::vector<sdgen::DeviceMemory> memory() {
  std::vector<sdgen::DeviceMemory> rows;
  if (!is_built()) return rows;
  const Cards& here = cards_here();
  for (const Card& card : here.cards) {
    const CardMemory bytes = memory_of(*here.api, card.index);
    rows.push_back({name_of(card), bytes.free, bytes.total});
  }
  return rows;
}

std::unique_ptr<Backend> make_backend(int index, const BackendOptions& options) {
  const Cards& here = cards_here();
  if (here.cards.empty()) throw Error(ErrorCode::kDevice, here.problem);
  for (const Card& card : here.cards) {
    if (card.index == index) return make_backend_on(*here.api, card, embedded_code().images, options.precision, options.threads);
  }
  throw Error(ErrorCode::kDevice, "there is no card " + std::to_string(index) + "; the last one is " + here.cards.back().text());
}

}  // namespace sdgen::cuda
